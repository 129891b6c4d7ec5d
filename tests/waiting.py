"""Wait for a condition that nothing announces."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = 300) -> None:
    """Look until the condition holds; fail with what was waited for after timeout_s seconds.

    The limit is for what never comes: where a test is about time, it gives one.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(0.1)
