"""The learning rate, and times on the command line."""

import pytest

from training.time_limit import parse_duration_s
from training.train.config import TrainConfig
from training.train.schedule import learning_rate_factor


def factors(**values: int) -> list[float]:
    config = TrainConfig(**values)  # type: ignore[arg-type]
    return [learning_rate_factor(step, config) for step in range(config.max_steps + 1)]


def test_rate_rises_holds_and_falls_to_zero() -> None:
    found = factors(max_steps=10, warmup_steps=2, decay_steps=4)
    assert found == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]


def test_rate_falls_from_the_warm_up_by_default() -> None:
    found = factors(max_steps=6, warmup_steps=2)
    assert found == [0.5, 1, 1, 0.75, 0.5, 0.25, 0]


def test_a_longer_run_has_the_same_rate_before_its_decay() -> None:
    short = factors(max_steps=10, warmup_steps=2, decay_steps=4)
    long = factors(max_steps=20, warmup_steps=2, decay_steps=4)
    assert long[:6] == short[:6]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("45m", 2700), ("2h50m", 10200), ("1.5h", 5400)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["h", "2x", "one"])
def test_other_words_are_no_times(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration_s(text)
