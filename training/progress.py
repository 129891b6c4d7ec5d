"""Progress of a long loop: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as track_on_terminal

from training.time_limit import format_duration

Item = TypeVar("Item")
_LINE_EVERY_S = 30.0


class Pace:
    """Tells how long the rest takes if it goes on as it went so far.

    Args:
        total: items to do from now on.
        now: a clock in seconds.
    """

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._now = now
        self._began = now()

    def left(self, n_done: int) -> str:
        """Return the time that the other items take, such as 2h50m; `n_done` is at least 1."""
        return format_duration((self._now() - self._began) / n_done * (self._total - n_done))


def track(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    """Yield the items and report how many are done.

    Args:
        items: worked on one by one.
        total: how many there are.
        description: what is being done, a few words.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track_on_terminal(items, description, total, console=console)
        return
    pace = Pace(total)
    said = time.monotonic()
    for n_done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - said > _LINE_EVERY_S or n_done == total:
            left = "" if n_done == total else f", {pace.left(n_done)} left"
            line = f"{description}: {n_done} of {total}{left}"
            console.print(line, highlight=False, soft_wrap=True)
            said = time.monotonic()
