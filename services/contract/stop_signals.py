"""The signals that ask a process to end."""

import signal
from collections.abc import Callable
from types import FrameType

#: What the terminal sends, also when it closes, and what service managers send.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def on_stop(handler: Callable[[int, FrameType | None], None]) -> None:
    """Call the handler at each of them; what nohup ignores stays ignored."""
    for number in STOP_SIGNALS:
        if not (number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, handler)
