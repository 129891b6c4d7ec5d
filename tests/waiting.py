"""Wait for a condition that nothing announces."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Look until the condition holds; fail with what was waited for after timeout_s seconds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(0.1)
