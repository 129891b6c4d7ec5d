import os
import signal
from collections.abc import Iterator

import pytest

from services.contract.stop_signals import STOP_SIGNALS, on_stop


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def heard() -> list[int]:
    """Send all of them to this process; return those that were heard."""
    found: list[int] = []
    on_stop(lambda number, frame: found.append(number))
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)
    return found


def test_every_signal_to_stop_is_heard() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert sorted(heard()) == sorted([signal.SIGHUP, signal.SIGINT, signal.SIGTERM])


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what it starts with "&"
    assert sorted(heard()) == sorted([signal.SIGINT, signal.SIGTERM])
