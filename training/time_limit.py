"""How a run is told to stop in time, and how its exit status says that it did.

Apart from the training loop, so that the command line need not load what trains.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

Step = TypeVar("Step")
EXIT_RESUMABLE = 75  # EX_TEMPFAIL: run me again
_LONG_STAGE_SHARE = 0.25
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?")


def parse_duration_s(text: str) -> float:
    """Read `2h50m`, `90s`, `45m` or plain seconds.

    Raises:
        ValueError: it is none of these.
    """
    parts = _DURATION.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        raise ValueError(f"{text!r} is no time")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds


def format_duration(seconds: float) -> str:
    """Write a time in the form that is read above, hours and minutes or seconds."""
    if seconds < 60:
        return f"{int(seconds)}s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")


class OutOfTimeError(Exception):
    """The time of this call is up; the same command continues."""


class TimeLimit:
    """How long one call may take, from now on.

    A call that has done nothing yet begins whatever comes next, however little time there is, or a
    short limit would never get it done.

    Args:
        max_time_s: None for as long as it takes.
        now: a clock in seconds.
    """

    def __init__(self, max_time_s: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self._max_time_s = max_time_s
        self._now = now
        self._began = now()
        self._longest_step_s = 0.0
        self._has_worked = False

    def left_s(self) -> float | None:
        """Return what is left of the time, None without a limit."""
        if self._max_time_s is None:
            return None
        return self._max_time_s - (self._now() - self._began)

    def note_work(self) -> None:
        """Tell that this call has done something that the next one need not do again."""
        self._has_worked = True

    def steps(self, items: Iterable[Step]) -> Iterator[Step]:
        """Yield what is done one by one and kept, as long as the next one will be done in time.

        Raises:
            OutOfTimeError: less time is left than the longest step took.
        """
        for item in items:
            self._require(self._longest_step_s)
            began = self._now()
            yield item
            self._longest_step_s = max(self._longest_step_s, self._now() - began)
            self.note_work()

    def begin(self, stage: str) -> None:
        """Begin what cannot stop halfway, unless less than a quarter of the time is left.

        Raises:
            OutOfTimeError: it is left for the next call.
        """
        try:
            self._require(_LONG_STAGE_SHARE * (self._max_time_s or 0.0))
        except OutOfTimeError:
            logger.info("--max-time is near: %s is left for the next run", stage)
            raise
        self.note_work()

    def _require(self, seconds: float) -> None:
        left_s = self.left_s()
        if self._has_worked and left_s is not None and left_s <= seconds:
            raise OutOfTimeError
