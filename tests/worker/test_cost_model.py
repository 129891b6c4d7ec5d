import random

import pytest

from services.worker.cost_model import CostModel


def seconds(context: int, n_windows: int) -> float:
    return context / 1000 * (1 + 0.2 * (n_windows - 1))


def test_it_learns_what_batches_cost() -> None:
    costs = CostModel()
    for _ in range(20):
        for n_windows in (1, 4, 8):
            costs.observe(600, n_windows, seconds(600, n_windows))
    for n_windows in (1, 2, 8, 16):
        assert abs(costs.predict(600, n_windows) / seconds(600, n_windows) - 1) < 0.1


def test_a_context_that_never_ran_costs_as_much_per_frame_as_the_nearest() -> None:
    costs = CostModel()
    costs.observe(600, 1, 0.6)
    assert costs.predict(1200, 1) == 1.2
    assert costs.predict(300, 1) == 0.6, "rather too much than too little"


def test_without_figures_more_windows_cost_more() -> None:
    costs = CostModel()
    assert 0 < costs.predict(600, 1) < costs.predict(600, 2) < costs.predict(3000, 2)


def test_one_slow_moment_does_not_end_batching() -> None:
    costs = CostModel()
    for _ in range(10):
        costs.observe(600, 4, seconds(600, 4))
    usual = costs.predict(600, 4)
    costs.observe(600, 4, 20 * usual)
    for _ in range(20):
        costs.observe(600, 1, seconds(600, 1))
        costs.observe(600, 4, seconds(600, 4))
    assert costs.predict(600, 4) < 1.5 * usual


def test_what_hardly_adds_to_a_batch_saves_nearly_all_of_itself() -> None:
    costs = CostModel()
    for _ in range(20):
        costs.observe(600, 1, 1.0)
        costs.observe(600, 4, 1.06)
    assert costs.saved_by_joining(600) > 0.95
    for _ in range(20):
        costs.observe(600, 1, 1.0)
        costs.observe(600, 4, 4.0)
    assert costs.saved_by_joining(600) < 0.2


def test_batches_that_all_take_longer_do_not_make_further_windows_cost_more() -> None:
    """As where another batch begins to run beside them, or the texts are longer."""
    costs = CostModel()
    for _ in range(20):
        costs.observe(600, 1, 1.0)
        costs.observe(600, 8, 1.1)
    for _ in range(20):
        costs.observe(600, 2, 2.0)
    assert abs(costs.predict(600, 2) / 2.0 - 1) < 0.1
    assert costs.predict(600, 16) < 3 * costs.predict(600, 1)


def test_a_context_that_comes_in_larger_batches_than_another_tells_nothing_of_the_share() -> None:
    """As where short clips are many and longer ones few; the texts are of any length."""
    costs = CostModel(share=0.2)
    for _ in range(300):
        costs.observe(300, 3, seconds(300, 3) * random.lognormvariate(0, 0.25))
        costs.observe(500, 1, 3 * seconds(500, 1) * random.lognormvariate(0, 0.25))
    assert costs.predict(300, 2) == pytest.approx(1.2 * costs.predict(300, 1))


def test_it_begins_with_the_guess_that_it_is_given() -> None:
    costs = CostModel(s_per_frame=0.01, share=0.25)
    assert costs.predict(600, 5) == pytest.approx(12.0)
    costs.observe(600, 1, 3.0)
    assert costs.predict(600, 5) == pytest.approx(6.0), "of the guess its share is kept"
