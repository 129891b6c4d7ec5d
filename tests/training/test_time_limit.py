import logging

import pytest

from training.time_limit import OutOfTimeError, TimeLimit


class Clock:
    """Goes on only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def done(limit: TimeLimit, clock: Clock, steps_s: list[float]) -> list[float]:
    """The steps that are done, which take so long, before time is up."""
    found = []
    with pytest.raises(OutOfTimeError):
        for seconds in limit.steps(steps_s):
            clock.now += seconds
            found.append(seconds)
    return found


def test_no_step_is_begun_that_would_probably_be_late() -> None:
    clock = Clock()
    limit = TimeLimit(60, clock)
    assert done(limit, clock, [20.0, 10.0, 15.0, 1.0]) == [20.0, 10.0, 15.0]
    assert limit.left_s() == 15
    assert done(limit, clock, [1.0]) == [], "nor in another loop of the same call"


def test_each_call_does_a_step() -> None:
    clock = Clock()
    for _ in range(2):
        assert done(TimeLimit(0, clock), clock, [5.0, 5.0]) == [5.0]


def test_without_a_limit_all_is_done() -> None:
    limit = TimeLimit(None)
    assert list(limit.steps(range(3))) == [0, 1, 2]
    limit.begin("all the rest")
    assert limit.left_s() is None


def test_a_long_stage_waits_for_a_call_that_has_done_nothing_yet(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    limit = TimeLimit(100, clock)
    limit.begin("the first")
    clock.now += 74
    limit.begin("the second")
    clock.now += 2
    with caplog.at_level(logging.INFO), pytest.raises(OutOfTimeError):
        limit.begin("the third")
    assert caplog.messages == ["--max-time is near: the third is left for the next run"]
    fresh = TimeLimit(0, clock)
    fresh.begin("the third")
    with pytest.raises(OutOfTimeError):
        fresh.begin("the fourth")
