"""How a run is told to stop in time, and how its exit status says that it did.

Apart from the training loop, so that the command line need not load what trains.
"""

import re

EXIT_RESUMABLE = 75  # EX_TEMPFAIL: run me again
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
