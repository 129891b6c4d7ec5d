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
