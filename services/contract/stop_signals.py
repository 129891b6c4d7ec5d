"""What ends a process: the signals that ask it to, and the end of the one that started it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

#: What the terminal sends, also when it closes, and what service managers send.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: prctl option of Linux: the signal a process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def on_stop(handler: Callable[[int, FrameType | None], None]) -> None:
    """Call the handler at each of them; what nohup ignores stays ignored."""
    for number in STOP_SIGNALS:
        if not (number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, handler)


def ends_with(parent: int) -> Callable[[], None] | None:
    """Return what a new process runs first, so that the kernel ends it when its parent dies.

    Linux only: elsewhere a killed parent leaves its processes behind, and this returns None.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It died in the meantime.
            os.kill(os.getpid(), signal.SIGTERM)

    return arm
