"""How a run is told to stop in time, and how its exit status says that it did.

Apart from the training loop, so that the command line need not load what trains.
"""

import re
import time

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


class TimeLimit:
    """How long one call may take, from now on.

    Args:
        max_time_s: None for as long as it takes.
    """

    def __init__(self, max_time_s: float | None) -> None:
        self._max_time_s = max_time_s
        self._began = time.monotonic()

    def left_s(self) -> float | None:
        """Return what is left of the time, None without a limit."""
        if self._max_time_s is None:
            return None
        return self._max_time_s - (time.monotonic() - self._began)

    def is_near(self) -> bool:
        """Whether less than a quarter is left: too little to begin what cannot stop halfway."""
        left_s = self.left_s()
        return left_s is not None and left_s <= _LONG_STAGE_SHARE * (self._max_time_s or 0.0)
