import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract import model_bundle
from services.contract.errors import TranscriptionError
from services.contract.schema import Lane, TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.worker import engine as engine_module
from services.worker.cost_model import CostModel
from services.worker.decoding import Decoded, WindowTask
from services.worker.engine import Engine, EngineLimits
from services.worker.model_loader import load
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE

Samples = NDArray[np.float32]
CALM = TranscriptionOptions(
    beam_size=2,
    best_of=2,
    compression_ratio_threshold=None,
    log_prob_threshold=None,
    no_speech_threshold=None,
)


def task(
    engine: Engine, samples: Samples, options: TranscriptionOptions = CALM, job: str = "job"
) -> WindowTask:
    return WindowTask(
        job=job,
        lane=Lane.INTERACTIVE,
        options=options,
        features=engine.model.log_mel(samples),
        n_frames=len(samples) // 160,
        language="sv",
        prompt=build_prompt(engine.model, "sv", options),
    )


def run(engine: Engine, tasks: list[WindowTask]) -> list[Decoded]:
    with engine.preparing(Lane.INTERACTIVE):
        for each in tasks:
            engine.submit(each)
    return [each.future.result(60) for each in tasks]


def clips(spoken: Samples, seconds: list[float]) -> list[Samples]:
    starts = range(0, len(spoken) - 10 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    return [
        spoken[start : start + int(s * SAMPLE_RATE)]
        for start, s in zip(starts, seconds, strict=False)
    ]


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
    settings: WorkerSettings,
    short_bundle_dir: Path,
    spoken: Samples,
) -> None:
    model, _ = load(model_bundle.read(short_bundle_dir), settings)
    costs = CostModel()
    for _ in range(40):
        costs.observe(3000, 1, 10.0)
        costs.observe(3000, 4, batch_of_four_s)
    engine = Engine(model, EngineLimits(max_windows=2, budget_s=60), costs)
    engine.model.short_context = False
    first, second = (task(engine, spoken[: 2 * SAMPLE_RATE], job=str(n)) for n in range(2))
    with engine.preparing(preparing):
        engine.submit(first)
        time.sleep(0.2)  # what it takes to prepare the other one
        engine.submit(second)
    for each in (first, second):
        each.future.result(60)
    assert engine.statistics.n_batches == expected
    engine.close()


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


def test_a_suspicious_window_climbs_the_ladder_and_its_neighbour_does_not(
    babbling_engine: Engine, spoken: Samples
) -> None:
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    first, second = spoken[: 2 * SAMPLE_RATE], spoken[SAMPLE_RATE : 3 * SAMPLE_RATE]
    climbed, calm = run(
        babbling_engine, [task(babbling_engine, first, impossible), task(babbling_engine, second)]
    )
    assert climbed.n_attempts == 7, "once padded, then five more temperatures"
    assert climbed.is_suspicious
    assert calm.n_attempts == 1 and not calm.is_suspicious and calm.attempt.temperature == 0


def test_a_suspicious_window_is_padded_before_any_temperature(
    babbling_engine: Engine, spoken: Samples
) -> None:
    clip = spoken[: 2 * SAMPLE_RATE]
    (unpadded,) = run(babbling_engine, [task(babbling_engine, clip)])
    babbling_engine.model.short_context = False
    (full,) = run(babbling_engine, [task(babbling_engine, clip)])
    babbling_engine.model.short_context = True
    assert unpadded.attempt.tokens != full.attempt.tokens, "padding makes no difference here"
    between = (unpadded.attempt.avg_logprob + full.attempt.avg_logprob) / 2
    doubtful = CALM.model_copy(update={"log_prob_threshold": between})
    (decoded,) = run(babbling_engine, [task(babbling_engine, clip, doubtful)])
    assert decoded.attempt.tokens == full.attempt.tokens
    assert decoded.n_attempts == 2 and decoded.attempt.temperature == 0


def test_the_likeliest_attempt_is_kept_when_all_are_suspicious(
    babbling_engine: Engine, spoken: Samples
) -> None:
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    waiting = task(babbling_engine, spoken[: 2 * SAMPLE_RATE], impossible)
    (decoded,) = run(babbling_engine, [waiting])
    assert len(waiting.attempts) == 5, "all but the last, which ended it"
    assert decoded.attempt.avg_logprob >= max(a.avg_logprob for a in waiting.attempts)


def test_another_temperature_does_not_encode_again(
    babbling_engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_encoded = []
    encode = babbling_engine.model.encode
    monkeypatch.setattr(
        babbling_engine.model, "encode", lambda f: (n_encoded.append(len(f)), encode(f))[1]
    )
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    run(babbling_engine, [task(babbling_engine, spoken[: 2 * SAMPLE_RATE], impossible)])
    assert n_encoded == [1, 1], "without padding and with it, not for each temperature"


def test_probable_silence_has_no_text(engine: Engine, spoken: Samples) -> None:
    options = CALM.model_copy(update={"no_speech_threshold": 0.0})
    (decoded,) = run(engine, [task(engine, spoken[: 2 * SAMPLE_RATE], options)])
    assert decoded.segments == []


def test_segments_end_within_their_window(babbling_engine: Engine, spoken: Samples) -> None:
    for clip in clips(spoken, [0.02, 0.3, 1.6, 2.56, 3.0]):
        (decoded,) = run(babbling_engine, [task(babbling_engine, clip)])
        for segment in decoded.segments:
            assert 0 <= segment.start <= segment.end <= len(clip) / SAMPLE_RATE + 0.01


def test_words_are_aligned_inside_their_segments(engine: Engine, spoken: Samples) -> None:
    options = CALM.model_copy(update={"word_timestamps": True})
    decoded = run(engine, [task(engine, clip, options) for clip in clips(spoken, [2.0, 3.0, 5.0])])
    for each in decoded:
        (segment,) = each.segments
        assert segment.words is not None
        assert "".join(word.word for word in segment.words) == segment.text
        starts = [word.start for word in segment.words]
        assert starts == sorted(starts)
        assert all(word.start <= word.end for word in segment.words)


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


@pytest.mark.parametrize(
    ("one_s", "four_s", "most"),
    [
        pytest.param(1.0, 2.8, 3, id="three windows fit"),
        pytest.param(3.0, 3.3, 8, id="one takes longer than the budget, more cost little"),
        pytest.param(3.0, 12.0, 1, id="each takes longer than the budget"),
    ],
)
def test_a_batch_takes_the_budget_or_little_more_than_one_window(
    open_engine: Callable[[Path], Engine],
    short_bundle_dir: Path,
    spoken: Samples,
    one_s: float,
    four_s: float,
    most: int,
) -> None:
    costs = CostModel()
    for _ in range(50):
        costs.observe(300, 1, one_s)
        costs.observe(300, 4, four_s)
    engine = Engine.__new__(Engine)
    engine._limits, engine._costs = EngineLimits(max_windows=8, budget_s=2.3), costs
    engine._n_alone = 0
    key = task(open_engine(short_bundle_dir), spoken[: 2 * SAMPLE_RATE]).key
    assert [n for n in range(1, 12) if engine._fits(key, n)] == list(range(1, most + 1))


def test_one_slow_pair_is_not_the_last_that_is_tried(
    settings: WorkerSettings,
    short_bundle_dir: Path,
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU, where more windows cost next to nothing but one takes longer than the budget."""
    model, _ = load(model_bundle.read(short_bundle_dir), settings)
    sizes: list[int] = []

    def note(model: Any, tasks: list[WindowTask]) -> list[WindowTask]:
        sizes.append(len(tasks))
        time.sleep(0.01)
        for each in tasks:
            each.future.set_result(None)
        return []

    monkeypatch.setattr(engine_module, "run_batch", note)
    costs = CostModel()
    engine = Engine(model, EngineLimits(max_windows=8, budget_s=0.001), costs)
    waiting = [task(engine, spoken[: 2 * SAMPLE_RATE]) for _ in range(150)]
    context = waiting[0].key.context
    for n_windows in (1, 2):  # four times the one alone
        costs.observe(context, n_windows, 0.01 * n_windows**2)
    with engine._changed:  # all are there before the first batch begins
        for each in waiting:
            engine._queue.push(each)
        engine._changed.notify_all()
    for each in waiting:
        each.future.result(30)
    engine.close()
    assert max(sizes) > 2


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


def test_a_closed_engine_takes_nothing(
    settings: Any, short_bundle_dir: Path, spoken: Samples
) -> None:
    model, costs = load(model_bundle.read(short_bundle_dir), settings)
    engine = Engine(model, EngineLimits(8, 1.0), costs)
    late = task(engine, spoken[: 2 * SAMPLE_RATE])
    engine.close()
    with pytest.raises(TranscriptionError):
        engine.submit(late)


def test_what_follows_from_a_window_of_people_comes_before_bulk_work(
    settings: WorkerSettings,
    short_bundle_dir: Path,
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_thread = settings.model_copy(update={"cpu_threads": 1})
    model, costs = load(model_bundle.read(short_bundle_dir), one_thread)
    ran: list[str] = []

    def note(model: Any, tasks: list[WindowTask]) -> list[WindowTask]:
        ran.extend(each.job for each in tasks)
        for each in tasks:
            each.future.set_result(None)
        return []

    monkeypatch.setattr(engine_module, "run_batch", note)
    monkeypatch.setattr(engine_module, "_FOLLOW_WAIT_S", 10.0)
    engine = Engine(model, EngineLimits(max_windows=1, budget_s=60), costs)
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
    assert ran == ["whole", "part", "bulk-0", "bulk-1", "bulk-2"]
