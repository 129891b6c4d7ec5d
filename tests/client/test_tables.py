"""Tables on narrow terminals."""

import pytest

from services.client.tables import plain_table, show

JOB_ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("width", [30, 40, 80])
def test_nothing_is_cut_off_and_an_id_can_be_copied(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    table = plain_table("Job", "Status", "Recording")
    for column in table.columns[:-1]:
        column.no_wrap = True
    table.add_row(JOB_ID, "succeeded", "ett långt namn på en inspelning.wav")
    show(table)
    printed = capsys.readouterr().out
    assert {JOB_ID, "succeeded", "inspelning.wav"} <= set(printed.split())
