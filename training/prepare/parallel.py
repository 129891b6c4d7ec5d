"""Ordered work over processes: results come in the order of the input, few in memory at a time."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from services.contract.errors import TrainingError

Item = TypeVar("Item")
Result = TypeVar("Result")
_ITEMS_PER_TASK = 16
_TASKS_PER_WORKER = 4


class Workers:
    """A pool of processes, or this process alone when one is enough."""

    def __init__(self, pool: ProcessPoolExecutor | None, n_workers: int) -> None:
        self._pool = pool
        self._n_workers = n_workers

    def map(
        self, function: Callable[[list[Item]], list[Result]], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Apply a function that takes a list of items, and yield its results in order.

        Raises:
            TrainingError: a process died.
        """
        tasks = _tasks(items)
        if self._pool is None:
            for task in tasks:
                yield from function(task)
            return
        try:
            yield from self._map(self._pool, function, tasks)
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process of prepare died, most likely for lack of memory; lower prepare.workers"
                " and run again: it continues where it stopped"
            ) from error

    def _map(
        self,
        pool: ProcessPoolExecutor,
        function: Callable[[list[Item]], list[Result]],
        tasks: Iterator[list[Item]],
    ) -> Iterator[Result]:
        waiting: deque[Future[list[Result]]] = deque()
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) >= _TASKS_PER_WORKER * self._n_workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


@contextmanager
def workers(n_workers: int) -> Iterator[Workers]:
    """Open a pool.

    Args:
        n_workers: processes; 0 means one per core, 1 means none besides this one.
    """
    n_workers = n_workers or n_cores()
    if n_workers == 1:
        yield Workers(None, 1)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of running threads
    pool = ProcessPoolExecutor(n_workers, context, initializer=live_with_parent)
    try:
        yield Workers(pool, n_workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _tasks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while task := list(islice(iterator, _ITEMS_PER_TASK)):
        yield task


def n_cores() -> int:
    """Count the cores that this process may use, which in a container are fewer."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def live_with_parent() -> None:
    """Leave Ctrl-C to the parent and end with it, even if it is killed: a pool would wait forever.

    To be called in a process of a pool.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and closes the pool
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
