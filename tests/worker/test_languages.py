import pytest

from services.worker.languages import choose


def test_the_best_candidate_wins_over_better_strangers() -> None:
    found = [{"sv": 0.2, "no": 0.5, "da": 0.3}]
    assert choose(found, ["sv", "da"]).code == "da"


def test_windows_are_averaged() -> None:
    found = [{"sv": 0.4, "no": 0.5}, {"sv": 0.9, "no": 0.1}]
    chosen = choose(found, ["sv", "no"])
    assert chosen.code == "sv" and chosen.probability == pytest.approx(0.65)


def test_a_candidate_that_was_not_heard_counts_nothing() -> None:
    assert choose([{"sv": 0.1}], ["fi", "sv"]).code == "sv"
