import pytest

from services.worker import pace
from services.worker.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_jobs_that_run_at_once_share_the_busy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(), []
    monkeypatch.setattr(pace, "time", clock)
    measure = Pace(told.append)
    with measure.job(10):
        with measure.job(10):
            clock.now = 4.0
        clock.now = 6.0
    assert told == [0.4, 0.2]


def test_a_job_that_fails_says_nothing() -> None:
    told: list[float] = []
    with pytest.raises(ValueError, match="bad"), Pace(told.append).job(10):
        raise ValueError("bad")
    with Pace(told.append).job(0.1):
        pass
    assert told == []
