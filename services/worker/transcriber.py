"""One recording from bytes to transcript: decode, cut, detect the language, submit, collect.

Runs in the thread of its job and shares the engine with all others. Knows neither Redis nor RQ.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.contract.schema import Lane, Transcript, TranscriptionOptions, WindowResult
from services.worker.audio import Source, decode
from services.worker.decoding import Decoded, WindowTask
from services.worker.engine import Engine
from services.worker.languages import (
    CERTAIN,
    MAX_LOOKS,
    Language,
    candidate_languages,
    choose,
    known_language,
)
from services.worker.prompts import build_prompt
from services.worker.readings import Readings
from services.worker.samples import SAMPLE_RATE, Samples
from services.worker.sequential import transcribe_sequentially
from services.worker.transcript import assemble, joined, window_result
from services.worker.windows import Window, cut_windows

#: Windows of one job that wait or run at once: enough to fill batches, little enough memory.
_MAX_PENDING = 24
#: While a job waits, it looks this often whether it was canceled.
_CHECK_S = 0.25
_FRAME_SAMPLES = SAMPLE_RATE // 100


@dataclass(frozen=True)
class Hooks:
    """How a run talks to its caller, in the run's own thread."""

    on_window: Callable[[WindowResult], None] = lambda window: None
    """Called with each finished window, not always in order."""
    check: Callable[[], None] = lambda: None
    """Called often; raises to stop the run."""


class Transcriber:
    """Transcribes recordings on one engine; may be used from many threads."""

    def __init__(self, engine: Engine, *, max_duration_s: float = float("inf")) -> None:
        self._engine = engine
        self._max_duration_s = max_duration_s

    def transcribe(
        self,
        source: Source,
        options: TranscriptionOptions,
        *,
        job: str = "",
        lane: Lane = Lane.INTERACTIVE,
        hooks: Hooks | None = None,
        finished: Mapping[int, WindowResult] | None = None,
    ) -> Transcript:
        """Transcribe one recording.

        Args:
            source: path, or a seekable binary file.
            job: tells the windows of one recording from others' when turns are given.
            finished: windows of an earlier run with the same bundle and options, by index.
        Raises:
            RequestError: the audio or the options are not usable.
            TranscriptionError: the model failed.
        """
        started = time.monotonic()
        run = _Run(self._engine, options, job, lane, hooks or Hooks(), dict(finished or {}))
        try:
            run.go(decode(source, max_duration_s=self._max_duration_s))
        finally:
            run.abort()
        return assemble(
            [run.finished[index] for index in sorted(run.finished)],
            options,
            bundle=self._engine.model.bundle.id,
            language=run.language,
            duration=run.n_samples / SAMPLE_RATE,
            processing_s=time.monotonic() - started,
        )


class Pending(NamedTuple):
    """A window in the engine."""

    window: Window
    task: WindowTask
    language: Language | None
    """None while the engine detects it."""
    readings: Readings
    """Of the window, or of the one that this is a part of."""


@dataclass
class _Run:
    """The windows of one recording on their way."""

    engine: Engine
    options: TranscriptionOptions
    job: str
    lane: Lane
    hooks: Hooks
    finished: dict[int, WindowResult]
    language: Language | None = None
    n_samples: int = 0
    _pending: "dict[Future[Any], Pending]" = field(default_factory=dict)

    def go(self, blocks: Iterable[Samples]) -> None:
        """Take all windows through the engine."""
        self.language = known_language(self.engine.model, self.options) or self._earlier_language()
        if self.options.mode == "sequential":
            self._go_sequentially(self._counted(blocks))
            return
        shape = self.engine.model.bundle.window_shape
        windows = cut_windows(self._counted(blocks), self.options, shape)
        if self.language is None and not self.options.detect_language_per_window:
            self._detect_language(windows)
        while self._submit_some(windows):
            self._collect(_MAX_PENDING - 1)
        self._collect(0)

    def abort(self) -> None:
        """Take back what still waits in the engine."""
        for future in self._pending:
            future.cancel()

    def _go_sequentially(self, blocks: Iterable[Samples]) -> None:
        self.finished.clear()
        model = self.engine.model
        try:
            for result in transcribe_sequentially(
                model, blocks, self.options, self.language, self.hooks.check
            ):
                self._finish(result)
        except RuntimeError as error:  # CTranslate2 raises nothing more precise
            raise self.engine.judge(error) from error

    def _counted(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self.n_samples += len(block)
            yield block

    def _earlier_language(self) -> Language | None:
        if self.options.detect_language_per_window or not self.finished:
            return None
        earlier = self.finished[min(self.finished)]
        return Language(earlier.language, earlier.language_probability)

    def _submit_some(self, windows: Iterator[Window]) -> bool:
        """Prepare and submit windows while few are under way; False when there are no more."""
        with self.engine.preparing(self.lane):
            while len(self._pending) < _MAX_PENDING:
                window = self._next(windows)
                if window is None:
                    return False
                self._submit(window, self._prepare(window), self.language, Readings(window))
                self.hooks.check()
                self._take_finished()
        return True

    def _next(self, windows: Iterator[Window]) -> Window | None:
        return next((window for window in windows if window.index not in self.finished), None)

    def _prepare(self, window: Window) -> WindowTask:
        return WindowTask(
            job=self.job,
            lane=self.lane,
            options=self.options,
            features=self.engine.model.log_mel(window.samples),
            n_frames=len(window.samples) // _FRAME_SAMPLES,
        )

    def _detect_language(self, windows: Iterator[Window]) -> None:
        """Look at the first windows until the language is certain, then submit them."""
        looked: list[tuple[Window, WindowTask]] = []
        heard: list[Mapping[str, float]] = []
        candidates = candidate_languages(self.engine.model, self.options)
        while len(heard) < MAX_LOOKS and (window := self._next(windows)) is not None:
            task = self._prepare(window)
            self._submit(window, task, None, Readings(window))
            while not wait(self._pending, timeout=_CHECK_S).done:
                self.hooks.check()
            del self._pending[task.future]
            heard.append(task.future.result())
            looked.append((window, task.again()))
            self.language = choose(heard, candidates)
            if self.language.probability >= CERTAIN:
                break
        for window, task in looked:
            self._submit(window, task, self.language, Readings(window))

    def _submit(
        self, window: Window, task: WindowTask, language: Language | None, readings: Readings
    ) -> None:
        if language is not None:
            task.language = language.code
            task.prompt = build_prompt(self.engine.model, language.code, self.options)
        self._pending[task.future] = Pending(window, task, language, readings)
        self.engine.submit(task)

    def _collect(self, n_left: int) -> None:
        """Take finished windows in, and wait until at most `n_left` are under way."""
        self._take_finished()
        while len(self._pending) > n_left:
            done, _ = wait(self._pending, timeout=_CHECK_S, return_when=FIRST_COMPLETED)
            self.hooks.check()
            self._take(done)

    def _take_finished(self) -> None:
        self._take([future for future in self._pending if future.done()])

    def _take(self, futures: Iterable["Future[Any]"]) -> None:
        for future in futures:
            window, task, language, readings = self._pending.pop(future)
            found = future.result()
            if language is None:
                candidates = candidate_languages(self.engine.model, self.options)
                self._submit(window, task.again(), choose([found], candidates), readings)
            else:
                self._take_reading(window, found, language, readings)

    def _take_reading(
        self, window: Window, found: Decoded, language: Language, readings: Readings
    ) -> None:
        following = readings.add(window, found)
        if following:
            with self.engine.preparing(self.lane):
                for part in following:
                    self._submit(part, self._prepare(part), language, readings)
        if readings.are_complete:
            results = [
                window_result(part, made, language, with_words=self.options.word_timestamps)
                for part, made in readings.better()
            ]
            self._finish(joined(results, readings.window))

    def _finish(self, result: WindowResult) -> None:
        self.finished[result.index] = result
        self.hooks.on_window(result)
