"""Progress where no terminal is: in a log, in a notebook."""

import re
from collections.abc import Iterator

import pytest

from training import progress
from training.time_limit import format_duration, parse_duration_s


def test_lines_of_a_log_tell_how_far_it_is_and_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    task = "decoding a split that has quite a long name, in a context that has one as well"
    assert list(progress.track("abc", 3, task)) == ["a", "b", "c"]
    first, second, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"{task}: 1 of 3, \S+ left", first)
    assert re.fullmatch(rf"{task}: 2 of 3, \S+ left", second)
    assert last == f"{task}: 3 of 3"


def test_time_left_is_what_the_rest_takes_at_the_pace_so_far() -> None:
    clock: Iterator[float] = iter([100.0, 130.0])
    pace = progress.Pace(10, now=lambda: next(clock))
    assert pace.left(4) == "45s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (300, "5m"), (10_230, "2h50m"), (7200, "2h")]
)
def test_duration_is_written_as_it_is_read(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration_s(text) == pytest.approx(seconds, abs=60)
