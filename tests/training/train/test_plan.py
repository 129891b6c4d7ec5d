"""The plan of a run: a pure function that covers the corpus and does not depend on its length."""

from collections import Counter

from training.train.config import MixConfig
from training.train.plan import Batch, Phase, Planner

DURATIONS = [0.5 + (i * 7 % 50) / 10 for i in range(200)]
MIX = MixConfig(joined_share=0.3, joined_min_s=5, joined_max_s=9, full_context_share=0.2)


def plan(n_batches: int, seed: int = 1, mix: MixConfig = MIX) -> list[Batch]:
    return Planner(DURATIONS, seed, 4, 2).plan([Phase(n_batches, mix)])


def test_same_seed_gives_the_same_plan() -> None:
    assert plan(50) == plan(50)
    assert plan(50) != plan(50, seed=2)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert plan(80)[:30] == plan(30)


def test_every_clip_is_seen_once_per_epoch() -> None:
    batches = plan(50 * 3, mix=MixConfig())
    seen = Counter((draw.epoch, draw.clip) for batch in batches for (draw,) in batch.windows)
    assert max(seen.values()) == 1
    assert {draw for draw in seen if draw[0] == 0} == {(0, clip) for clip in range(200)}


def test_joined_windows_have_the_length_that_was_drawn() -> None:
    joined = [b for b in plan(200) if any(len(window) > 1 for window in b.windows)]
    lengths = [sum(DURATIONS[d.clip] for d in window) for b in joined for window in b.windows]
    assert len(joined) > 20
    assert 5 <= min(lengths) and max(lengths) < 9 + max(DURATIONS)


def test_clips_of_a_batch_have_similar_lengths() -> None:
    batches = plan(100, mix=MixConfig())
    spreads = [
        max(DURATIONS[d.clip] for (d,) in b.windows) - min(DURATIONS[d.clip] for (d,) in b.windows)
        for b in batches
    ]
    assert sum(spreads) / len(spreads) < 0.5


def test_phases_follow_each_other() -> None:
    phases = [Phase(10, MixConfig()), Phase(5, MixConfig(full_context_share=1.0))]
    batches = Planner(DURATIONS, 1, 4, 2).plan(phases)
    assert [batch.full_context for batch in batches] == [False] * 10 + [True] * 5
    assert [batch.index for batch in batches] == list(range(15))


def test_long_form_windows_have_text_before_them_and_leave_the_other_batches_alone() -> None:
    batches = plan(200, mix=MIX.model_copy(update={"long_form_share": 0.25}))
    long_form = [batch for batch in batches if batch.long_form]
    lengths = [sum(DURATIONS[d.clip] for d in window) for b in long_form for window in b.windows]
    assert 30 <= len(long_form) <= 70
    assert 30 <= min(lengths) and 50 < max(lengths) < 60 + max(DURATIONS)
    assert all(batch.full_context for batch in long_form)
    assert not any(batch.long_form for batch in plan(200))
