"""Progress of a long loop: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as track_on_terminal

Item = TypeVar("Item")
_LINE_EVERY_S = 30.0


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
    said = time.monotonic()
    for n_done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - said > _LINE_EVERY_S or n_done == total:
            console.print(f"{description}: {n_done} of {total}", highlight=False)
            said = time.monotonic()
