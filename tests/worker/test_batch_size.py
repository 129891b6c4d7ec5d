import pytest

from services.worker.batch_size import BatchLimits, BatchSizes
from services.worker.cost_model import CostModel


@pytest.mark.parametrize(
    ("one_s", "four_s", "most"),
    [
        pytest.param(1.0, 2.8, 3, id="three windows fit"),
        pytest.param(3.0, 3.3, 8, id="one takes longer than the budget, more cost little"),
        pytest.param(3.0, 12.0, 1, id="each takes longer than the budget"),
    ],
)
def test_a_batch_takes_the_budget_or_little_more_than_one_window(
    one_s: float, four_s: float, most: int
) -> None:
    sizes = BatchSizes(BatchLimits(max_windows=8, budget_s=2.3), CostModel())
    for _ in range(50):
        sizes.ran(300, 1, one_s)
        sizes.ran(300, 4, four_s)
    assert [n for n in range(1, 12) if sizes.fits(300, n)] == list(range(1, most + 1))


def test_each_context_tries_larger_batches_on_its_own() -> None:
    """As where short clips run three at a time, and of longer ones not even two seem to fit."""
    costs = CostModel(s_per_frame=0.001, share=0.9)
    sizes = BatchSizes(BatchLimits(max_windows=8, budget_s=1.0), costs)
    assert not sizes.fits(600, 2)
    for _ in range(16):
        sizes.ran(300, 3, costs.predict(300, 3))
        sizes.ran(600, 1, costs.predict(600, 1))
    assert sizes.fits(600, 2) and not sizes.fits(600, 3)
    assert sizes.fits(300, 4)


@pytest.mark.parametrize(
    ("share", "n_people", "n_bulk"),
    [
        pytest.param(0.3, 1, 0, id="a clip on a processor"),
        pytest.param(0.3, 8, 2, id="eight on a processor"),
        pytest.param(0.02, 1, 12, id="a clip on a GPU"),
    ],
)
def test_bulk_work_makes_the_batch_of_people_a_quarter_longer_at_most(
    share: float, n_people: int, n_bulk: int
) -> None:
    sizes = BatchSizes(BatchLimits(max_windows=32, budget_s=60), CostModel(share=share))
    company = [n for n in range(1, 25) if sizes.fits(300, n_people + n, n)]
    assert company == list(range(1, n_bulk + 1))


def test_a_batch_has_as_much_as_memory_held_and_more_is_tried_later() -> None:
    sizes = BatchSizes(BatchLimits(max_windows=16, budget_s=60), CostModel())

    def most(context: int) -> int:
        return max(n for n in range(1, 18) if sizes.fits(context, n))

    assert (most(3000), most(500)) == (16, 16)
    sizes.ran_out_of_memory(3000, 16)
    assert (most(3000), most(500)) == (8, 16)
    sizes.ran_out_of_memory(3000, 8)
    assert (most(3000), most(1500), most(500)) == (4, 8, 16)
    for _ in range(200):
        sizes.ran(3000, 4, 1.0)
    assert (most(3000), most(500)) == (8, 16)
    for _ in range(200):
        sizes.ran(3000, 8, 1.0)
    assert most(3000) == 16
