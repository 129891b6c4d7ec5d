"""An engine whose library fails, and whose threads share what they know."""

import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.contract import model_bundle
from services.contract.errors import GpuMemoryError, TranscriptionError
from services.contract.schema import Lane
from services.worker import decoding
from services.worker.batch_size import BatchLimits
from services.worker.cost_model import CostModel
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.samples import SAMPLE_RATE
from services.worker.transcriber import Transcriber
from tests.waiting import wait_until
from tests.worker.window_tasks import CALM, Samples, run, task


@pytest.fixture
def engine(engine_of: Callable[..., Engine]) -> Engine:
    """The quick engine, of one thread; what it learns of its memory is of no other test."""
    return engine_of(CostModel(), max_windows=16, n_threads=1)


class Breaking:
    """A CTranslate2 model that fails on loud windows."""

    def __init__(self, whisper: Any, error: Exception) -> None:
        self._whisper = whisper
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)

    def encode(self, features: Any) -> Any:
        if np.array(features).max() > 2.5:
            raise self._error
        return self._whisper.encode(features)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA failed with error out of memory"), GpuMemoryError),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), GpuMemoryError),
        (RuntimeError("something else"), TranscriptionError),
        (MemoryError(), TranscriptionError),
    ],
)
def test_a_window_that_fails_does_not_harm_its_neighbours(
    error: Exception,
    expected: type[Exception],
    engine: Engine,
    spoken: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine.model, "whisper", Breaking(engine.model.whisper, error))
    clip = spoken[: 2 * SAMPLE_RATE]
    bad = task(engine, clip)
    bad.features = bad.features + 9
    tasks = [task(engine, clip), bad, task(engine, clip)]
    with engine.preparing(Lane.INTERACTIVE):
        for each in tasks:
            engine.submit(each)
    wait([each.future for each in tasks], 60)
    assert tasks[0].future.result().segments and tasks[2].future.result().segments
    assert isinstance(bad.future.exception(), expected)


class Small:
    """A CTranslate2 model whose memory holds so many windows; it notes the batches that it had."""

    def __init__(self, whisper: Any, n_windows: int) -> None:
        self._whisper = whisper
        self._n_windows = n_windows
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)

    def generate(self, encoded: Any, prompts: list[Any], **options: Any) -> Any:
        self.batches.append(len(prompts))
        if len(prompts) > self._n_windows:
            raise RuntimeError("CUDA failed with error out of memory")
        return self._whisper.generate(encoded, prompts, **options)


def test_a_full_memory_makes_batches_smaller_and_fails_nobody(
    engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Small(engine.model.whisper, 3)
    monkeypatch.setattr(engine.model, "whisper", small)
    tasks = [task(engine, spoken[: 2 * SAMPLE_RATE], job=str(i)) for i in range(16)]
    with engine._changed:  # all are there before the first batch begins
        for each in tasks:
            engine.submit(each)
    assert all(each.future.result(60).segments for each in tasks)
    assert small.batches == [16, 8, 4] + [2] * 8


def test_a_model_that_works_no_more_blames_no_window(
    engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends, and the jobs begin again in another one."""

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("CUDA failed with error unspecified launch failure")

    monkeypatch.setattr(engine.model, "encode", fail)
    assert not engine.hangs()
    tasks = [task(engine, spoken[: 2 * SAMPLE_RATE]) for _ in range(3)]
    with engine._changed:
        for each in tasks:
            engine.submit(each)
    wait_until(engine.hangs, what="the end of the model")
    assert not any(each.future.done() for each in tasks)


def test_the_sequential_loop_tells_of_a_full_memory(
    engine: Engine, speech: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(engine.model.loop, "generate_segments", fail)
    options = CALM.model_copy(update={"mode": "sequential", "language": "sv"})
    with pytest.raises(GpuMemoryError):
        Transcriber(engine).transcribe(speech("Hej du glade."), options)
    assert not engine.hangs()


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_what_fails_after_the_search_begins_again_at_the_same_temperature(
    temperature: float | None, engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU may run out of memory while it aligns the words of a whole batch."""
    real, failures = decoding.add_words, [RuntimeError("out of memory")]

    def add_words(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        real(*arguments)

    monkeypatch.setattr(decoding, "add_words", add_words)
    options = CALM.model_copy(update={"temperature": temperature, "word_timestamps": True})
    clip = spoken[: 2 * SAMPLE_RATE]
    for decoded in run(engine, [task(engine, clip, options) for _ in range(2)]):
        assert decoded.attempt.temperature == (temperature or 0.0)
        assert decoded.n_attempts == 1
    assert not failures


@pytest.mark.slow
def test_threads_of_an_engine_use_its_costs_one_at_a_time(
    settings: Any, short_bundle_dir: Path, spoken: Samples
) -> None:
    """Two at a time, one would look through figures that the other is adding to."""

    class Watched(CostModel):
        in_use, was_shared = False, False

        def predict(self, context: int, n_windows: int) -> float:
            self.was_shared |= self.in_use
            self.in_use = True
            time.sleep(0.002)
            self.in_use = False
            return super().predict(context, n_windows)

    costs = Watched()
    model, _ = load(model_bundle.read(short_bundle_dir), settings)
    assert model.n_parallel > 1
    engine = Engine(model, BatchLimits(max_windows=1, budget_s=60), costs)
    run(engine, [task(engine, spoken[: 2 * SAMPLE_RATE], job=str(i)) for i in range(20)])
    engine.close()
    assert not costs.was_shared
