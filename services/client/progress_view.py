"""What a person sees while recordings are transcribed: a live table, or lines in a log."""

import threading
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn


class ProgressView(Protocol):
    """Told about every change; from several threads."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def begin(self, n_todo: int, n_skipped: int) -> None:
        """A run starts."""

    def update(self, name: str, state: str, progress: float) -> None:
        """A recording has come further; `progress` from 0 to 1."""

    def done(self, name: str) -> None:
        """A recording has its transcript."""

    def failed(self, name: str, reason: str) -> None:
        """A recording has none."""


class LiveTable:
    """One row for everything, and one for each recording under way that has room on the screen."""

    def __init__(self, console: Console) -> None:
        """Draw on a terminal."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}", style="dim"),
            console=console,
            transient=True,
        )
        self._rows: dict[str, TaskID] = {}
        self._all: TaskID | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, n_todo: int, n_skipped: int) -> None:
        """Show the row for everything."""
        state = f"{n_skipped} already done" if n_skipped else ""
        self._all = self._progress.add_task("[bold]All recordings", total=n_todo, state=state)

    def update(self, name: str, state: str, progress: float) -> None:
        """Show or change a recording's row, if there is room for it."""
        with self._lock:
            if name not in self._rows:
                # Rows below the screen would be drawn for nobody, ten times a second.
                if len(self._rows) >= self._progress.console.height - 2:
                    return
                self._rows[name] = self._progress.add_task(escape(name), total=1.0, state=state)
            self._progress.update(self._rows[name], completed=progress, state=state)

    def done(self, name: str) -> None:
        """Take the row away."""
        self._end(name)

    def failed(self, name: str, reason: str) -> None:
        """Take the row away and leave a line above the table."""
        self._end(name)
        self._progress.console.print(f"[red]failed[/] {escape(name)}: {escape(reason)}")

    def _end(self, name: str) -> None:
        with self._lock:
            if (row := self._rows.pop(name, None)) is not None:
                self._progress.remove_task(row)
            if self._all is not None:
                self._progress.advance(self._all)


class PlainLines:
    """One line per finished recording: for logs, cron and pipes."""

    def __init__(self, console: Console) -> None:
        """Print to a stream that is not a terminal."""
        self._console = console
        self._n_todo = 0
        self._n_ended = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, n_todo: int, n_skipped: int) -> None:
        """Say how much there is to do."""
        self._n_todo = n_todo
        self._say(f"{n_todo} to transcribe, {n_skipped} already done")

    def update(self, name: str, state: str, progress: float) -> None:
        """Say nothing: a log needs ends, not progress."""

    def done(self, name: str) -> None:
        """Say that a recording is ready."""
        self._n_ended += 1
        self._say(f"{self._n_ended}/{self._n_todo} done {name}")

    def failed(self, name: str, reason: str) -> None:
        """Say that a recording failed, and why."""
        self._n_ended += 1
        self._say(f"{self._n_ended}/{self._n_todo} failed {name}: {reason}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def make_view(console: Console) -> ProgressView:
    """Return the view that fits where the output goes."""
    return LiveTable(console) if console.is_terminal else PlainLines(console)
