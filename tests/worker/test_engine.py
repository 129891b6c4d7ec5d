"""How windows of all jobs become batches, and who waits for whom."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.contract.errors import TranscriptionError
from services.contract.schema import Lane
from services.worker import engine as engine_module
from services.worker.cost_model import CostModel
from services.worker.decoding import WindowTask
from services.worker.engine import Engine
from services.worker.samples import SAMPLE_RATE
from tests.worker.window_tasks import CALM, Samples, clips, run, task


def noted_batches(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> list[list[str]]:
    """Let batches take so long and find nothing; return the list of them, by the jobs' names."""
    batches: list[list[str]] = []

    def note(model: Any, tasks: list[WindowTask]) -> list[WindowTask]:
        batches.append([each.job for each in tasks])
        time.sleep(seconds)
        for each in tasks:
            each.future.set_result(None)
        return []

    monkeypatch.setattr(engine_module, "run_batch", note)
    return batches


def test_a_transcript_does_not_depend_on_its_neighbours(
    babbling_engine: Engine, spoken: Samples
) -> None:
    heard = clips(spoken, [2.0, 2.5, 1.2, 2.2, 4.0, 1.7, 2.4, 0.9])
    alone = [run(babbling_engine, [task(babbling_engine, clip)])[0] for clip in heard]
    before = babbling_engine.statistics.n_batches
    together = run(
        babbling_engine, [task(babbling_engine, clip, job=str(i)) for i, clip in enumerate(heard)]
    )
    assert babbling_engine.statistics.n_batches - before < len(heard), "nothing was batched"
    assert len({tuple(d.attempt.tokens) for d in alone}) > 4, "the model does not listen"
    for one, other in zip(alone, together, strict=True):
        assert one.attempt.tokens == other.attempt.tokens
        assert one.attempt.avg_logprob == pytest.approx(other.attempt.avg_logprob, abs=1e-4)


@pytest.mark.parametrize(
    ("batch_of_four_s", "preparing", "expected"),
    [(10.0, Lane.INTERACTIVE, 1), (40.0, Lane.INTERACTIVE, 2), (10.0, Lane.BULK, 2)],
    ids=["saves much", "saves nothing", "people do not wait for bulk work"],
)
def test_a_window_that_is_being_prepared_is_waited_for_if_it_saves_much(
    batch_of_four_s: float,
    preparing: Lane,
    expected: int,
    engine_of: Callable[..., Engine],
    spoken: Samples,
) -> None:
    costs = CostModel()
    for _ in range(40):
        costs.observe(3000, 1, 10.0)
        costs.observe(3000, 4, batch_of_four_s)
    engine = engine_of(costs, max_windows=2)
    engine.model.short_context = False
    first, second = (task(engine, spoken[: 2 * SAMPLE_RATE], job=str(n)) for n in range(2))
    with engine.preparing(preparing):
        engine.submit(first)
        time.sleep(0.2)  # what it takes to prepare the other one
        engine.submit(second)
    for each in (first, second):
        each.future.result(60)
    assert engine.statistics.n_batches == expected


def test_a_batch_waits_as_long_as_windows_keep_coming(
    engine_of: Callable[..., Engine], spoken: Samples
) -> None:
    """Five windows of one recording: all of them take longer than one is worth waiting for."""
    costs = CostModel(s_per_frame=10.0 / 3000, share=0.01)
    engine = engine_of(costs, max_windows=16)
    engine.model.short_context = False
    tasks = [task(engine, spoken[: 2 * SAMPLE_RATE]) for _ in range(5)]
    with engine.preparing(Lane.INTERACTIVE):
        for each in tasks:
            engine.submit(each)
            time.sleep(0.5)  # what it takes to prepare the next, of 2 s; 5 s for all
    for each in tasks:
        each.future.result(60)
    assert engine.statistics.n_batches == 1


def test_a_batch_does_not_wait_for_windows_that_would_not_fit(
    engine_of: Callable[..., Engine], spoken: Samples
) -> None:
    """As on a processor, where one window of a long recording is a batch."""
    costs = CostModel(s_per_frame=1000 / 3000, share=0.9)  # a wait would be 20 s
    engine = engine_of(costs, max_windows=16, budget_s=1)
    engine.model.short_context = False
    with engine.preparing(Lane.INTERACTIVE):
        first = task(engine, spoken[: 2 * SAMPLE_RATE])
        engine.submit(first)
        first.future.result(15)


def test_windows_that_cannot_join_do_not_count_as_a_fuller_batch(
    engine_of: Callable[..., Engine],
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where many people send clips of many lengths: three of another length wait already."""
    batches = noted_batches(monkeypatch)
    costs = CostModel(s_per_frame=10.0 / 300, share=0.1)  # a wait of 1.8 s
    engine = engine_of(costs, max_windows=3)
    first, second = (task(engine, spoken[: 2 * SAMPLE_RATE], job=job) for job in ("a", "b"))
    longer = [task(engine, spoken[: 8 * SAMPLE_RATE], job="longer") for _ in range(3)]
    assert first.key != longer[0].key
    with engine.preparing(Lane.INTERACTIVE):
        with engine._changed:
            for each in (first, *longer):
                engine.submit(each)
        time.sleep(0.2)  # what it takes to prepare the other one
        engine.submit(second)
    for each in (first, second, *longer):
        each.future.result(30)
    engine.close()
    assert batches == [["a", "b"], ["longer"] * 3]


def test_windows_of_different_options_run_apart_and_each_gets_its_own(
    babbling_engine: Engine, spoken: Samples
) -> None:
    clip = spoken[: 2 * SAMPLE_RATE]
    variants = [
        CALM,
        CALM.model_copy(update={"beam_size": 1}),
        CALM.model_copy(update={"initial_prompt": "Hej du glade."}),
    ]
    alone = [run(babbling_engine, [task(babbling_engine, clip, o)])[0] for o in variants]
    together = run(babbling_engine, [task(babbling_engine, clip, o) for o in variants])
    assert [d.attempt.tokens for d in together] == [d.attempt.tokens for d in alone]


def test_a_canceled_window_is_not_decoded(engine: Engine, spoken: Samples) -> None:
    clip = spoken[: 2 * SAMPLE_RATE]
    before = engine.statistics.n_windows
    with engine._changed:
        waiting = [task(engine, clip), task(engine, clip)]
        for each in waiting:
            engine._queue.push(each)
        waiting[0].future.cancel()
        engine._changed.notify_all()
    assert waiting[1].future.result(30).segments
    assert engine.statistics.n_windows == before + 1


@pytest.mark.parametrize("slow", [2, 3], ids=["a slow pair", "slow threes"])
def test_one_slow_batch_is_not_the_last_of_its_size_that_is_tried(
    slow: int,
    engine_of: Callable[..., Engine],
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU, where more windows cost next to nothing but one takes longer than the budget."""
    batches = noted_batches(monkeypatch, seconds=0.01)
    costs = CostModel()
    engine = engine_of(costs, max_windows=8, budget_s=0.001)
    waiting = [task(engine, spoken[: 2 * SAMPLE_RATE]) for _ in range(400)]
    context = waiting[0].key.context
    for n_windows in range(1, slow + 1):  # the last of them much slower than the others
        costs.observe(context, n_windows, 0.01 * (9 if n_windows == slow else 1))
    with engine._changed:  # all are there before the first batch begins
        for each in waiting:
            engine._queue.push(each)
        engine._changed.notify_all()
    for each in waiting:
        each.future.result(30)
    engine.close()
    assert max(len(batch) for batch in batches) > slow


def test_a_batch_that_never_ends_is_noticed(
    engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(engine_module, "_HANG_S", 0.05)
    monkeypatch.setattr(engine_module, "_HANG_FACTOR", 0)
    real = engine_module.run_batch

    def stuck(model: Any, tasks: list[WindowTask]) -> list[WindowTask]:
        release.wait(30)
        return real(model, tasks)

    monkeypatch.setattr(engine_module, "run_batch", stuck)
    assert not engine.hangs()
    waiting = task(engine, spoken[: 2 * SAMPLE_RATE])
    engine.submit(waiting)
    end = time.monotonic() + 10
    while not engine.hangs() and time.monotonic() < end:
        time.sleep(0.01)
    assert engine.hangs()
    release.set()
    assert waiting.future.result(30).segments
    assert not engine.hangs()


def test_a_closed_engine_takes_nothing(engine_of: Callable[..., Engine], spoken: Samples) -> None:
    engine = engine_of(CostModel(), max_windows=8)
    late = task(engine, spoken[: 2 * SAMPLE_RATE])
    engine.close()
    with pytest.raises(TranscriptionError):
        engine.submit(late)


def test_what_follows_from_a_window_of_people_comes_before_bulk_work(
    engine_of: Callable[..., Engine],
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = noted_batches(monkeypatch)
    monkeypatch.setattr(engine_module, "_FOLLOW_WAIT_S", 10.0)
    engine = engine_of(CostModel(), max_windows=1, n_threads=1)
    clip = spoken[: 2 * SAMPLE_RATE]
    whole, part = (task(engine, clip, job=job) for job in ("whole", "part"))
    bulk = [replace(task(engine, clip, job=f"bulk-{n}"), lane=Lane.BULK) for n in range(3)]
    with engine._changed:
        for each in (*bulk, whole):
            engine.submit(each)
    whole.future.result(30)
    engine.submit(part)
    bulk[-1].future.result(30)
    engine.close()
    assert batches == [["whole"], ["part"], ["bulk-0"], ["bulk-1"], ["bulk-2"]]
