"""How fast this worker works: busy seconds per second of audio, told to the queue for estimates."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from services.contract.errors import QueueUnavailableError

#: Shorter busy times say nothing about long recordings.
_MIN_AUDIO_S = 1.0


class Pace:
    """Shares the worker's busy time out among the jobs that end in it."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._told_until = 0.0

    @contextmanager
    def job(self, audio_s: float) -> Iterator[None]:
        """Measure one job; an error in it measures nothing."""
        started = time.monotonic()
        yield
        with self._lock:
            now = time.monotonic()
            busy_s = now - max(started, self._told_until)
            self._told_until = now
        if audio_s >= _MIN_AUDIO_S:
            # A figure less is no reason to lose a transcript.
            with suppress(QueueUnavailableError):
                self._report(busy_s / audio_s)
