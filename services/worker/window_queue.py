"""The windows that wait for the engine: interactive first, then round-robin over jobs."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from services.contract.schema import Lane
from services.worker.decoding import WindowTask

#: Bulk work that waited this long goes first once: people's traffic must not starve it.
_BULK_PATIENCE_S = 10.0


class Fits(Protocol):
    """`BatchSizes.fits`."""

    def __call__(self, context: int, n_windows: int, n_company: int = 0) -> bool: ...


class WindowQueue:
    """Waiting windows by lane and job. Not thread-safe: the engine locks around it."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, OrderedDict[str, deque[WindowTask]]] = {
            lane: OrderedDict() for lane in (Lane.INTERACTIVE, Lane.BULK)
        }
        self._bulk_served_at = 0.0

    def __len__(self) -> int:
        return sum(self.n_waiting(lane) for lane in self._lanes)

    def n_waiting(self, lane: Lane) -> int:
        """Return how many windows wait in a lane."""
        return sum(len(tasks) for tasks in self._lanes[lane].values())

    def push(self, task: WindowTask, *, front: bool = False) -> None:
        """Add a window behind its job's others; `front` is for windows that go round again."""
        if task.lane is Lane.BULK and not self._lanes[Lane.BULK]:
            self._bulk_served_at = time.monotonic()
        tasks = self._lanes[task.lane].setdefault(task.job, deque())
        if front:
            tasks.appendleft(task)
        else:
            tasks.append(task)

    def head(self) -> WindowTask | None:
        """Return the window whose turn it is."""
        return next(self._waiting(), None)

    def n_like(self, head: WindowTask, at_most: int) -> int:
        """Return how many windows wait that could be in one batch with this one, itself included,
        without bulk work in that of people; no more are counted than asked for, as there may be
        thousands.
        """
        like = (
            task for task in self._waiting() if task.key == head.key and not _is_company(task, head)
        )
        return sum(1 for _ in islice(like, at_most))

    def take(self, fits: Fits) -> list[WindowTask]:
        """Remove and return the next batch: windows of one key, at most one round per job first.

        Args:
            fits: whether a batch may have one window more; one always may.
        """
        head = self.head()
        if head is None:
            return []
        chosen, n_company = [head], 0
        for task in self._waiting():
            if task is head or task.key != head.key:
                continue
            n_company += _is_company(task, head)
            if not fits(head.key.context, len(chosen) + 1, n_company):
                break
            chosen.append(task)
        for task in chosen:
            self._remove(task)
        return chosen

    def drain(self) -> list[WindowTask]:
        """Remove and return everything."""
        tasks = [task for jobs in self._lanes.values() for own in jobs.values() for task in own]
        for jobs in self._lanes.values():
            jobs.clear()
        return tasks

    def _waiting(self) -> Iterator[WindowTask]:
        lanes = [Lane.INTERACTIVE, Lane.BULK]
        if self._lanes[Lane.BULK] and time.monotonic() - self._bulk_served_at > _BULK_PATIENCE_S:
            lanes.reverse()
        for lane in lanes:
            jobs = self._lanes[lane]
            longest = max((len(tasks) for tasks in jobs.values()), default=0)
            for turn in range(longest):
                yield from (tasks[turn] for tasks in jobs.values() if turn < len(tasks))

    def _remove(self, task: WindowTask) -> None:
        """Take a window out and put its job behind the others of its lane."""
        jobs = self._lanes[task.lane]
        tasks = jobs[task.job]
        tasks.remove(task)
        if tasks:
            jobs.move_to_end(task.job)
        else:
            del jobs[task.job]
        if task.lane is Lane.BULK:
            self._bulk_served_at = time.monotonic()


def _is_company(task: WindowTask, head: WindowTask) -> bool:
    """Whether it is bulk work that would come along in a batch that people wait for."""
    return task.lane is Lane.BULK and head.lane is Lane.INTERACTIVE
