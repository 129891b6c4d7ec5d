"""The live table: what fits on the screen, and no more."""

import io

from rich.console import Console

from services.client.progress_view import LiveTable


def test_the_table_has_as_many_rows_as_the_screen_has_room_for() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=10)
    with LiveTable(console) as table:
        table.begin(200, 0)
        for number in range(200):
            table.update(f"{number}.wav", "queued", 0.0)
        assert len(table._progress.tasks) < 10, "all others would be drawn for nobody"
        table.done("0.wav")
        table.update("199.wav", "processing", 0.5)
    assert "199.wav" in screen.getvalue(), "it has the room of the one that is done"
