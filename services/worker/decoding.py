"""From a batch of log-mels to segments: one engine call, suspicion, timestamps, words.

Everything here is decided window by window, so a transcript never depends on its neighbours in
the batch. Constants and rules are those of openai/whisper and faster-whisper unless a comment
says otherwise.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from services.contract.encoder_context import FRAMES_PER_SECOND, FULL_CONTEXT_FRAMES, text_room
from services.contract.schema import TEMPERATURE_LADDER, Lane, TranscriptionOptions
from services.contract.suspicion import compression_ratio, mean_log_prob
from services.contract.unread import LEAST_READ_S, unread_from
from services.worker.model import MAX_TOKENS, FloatArray, Model, rows_of
from services.worker.prompts import writes_times
from services.worker.segments import RawSegment, split_segments, whole_window
from services.worker.words import Said, add_words

#: Where the last word ends, with the padding around speech and what an alignment is off, is seldom
#: farther from the end of a window that was read to its end.
_LEAST_REST_S = 0.9


@dataclass(frozen=True)
class Attempt:
    """One decoding of a window at one temperature."""

    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    fills_its_room: bool
    """Without padding: it stopped only where no more text was allowed."""


@dataclass(frozen=True)
class Decoded:
    """What the engine found in a window; times are window time."""

    segments: list[RawSegment]
    attempt: Attempt
    n_attempts: int
    is_suspicious: bool
    unread_from: float | None = None
    """Where the model stopped before the end of the window, although there is more to read."""
    is_told_by_words: bool = False
    """Whether the times of its words told so, and not the model."""


@dataclass(frozen=True)
class BatchKey:
    """What all windows of one engine call must share."""

    context: int
    is_encoded: bool
    detects: bool
    prompt_length: int
    ends_with: int | None
    """The prompt's last token: CTranslate2 asks one prompt for all whether times are written."""
    temperature: float
    beam_size: int
    patience: float


@dataclass(eq=False)
class WindowTask:
    """One window's way through the engine: language detection, or decoding up the ladder."""

    job: str
    lane: Lane
    options: TranscriptionOptions
    features: NDArray[np.float32]
    """Log-mel, shape (n_mels, context)."""
    n_frames: int
    """Frames of it that hold sound."""
    language: str | None = None
    """None asks for the language and nothing else."""
    encoded: FloatArray | None = None
    """Encoder output of an earlier round, shape (context / 2, d_model)."""
    prompt: list[int] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    """One for each temperature that was tried in vain."""
    n_attempts: int = 0
    """All of them so far, the one without padding too."""
    future: "Future[Any]" = field(default_factory=Future)

    @property
    def temperature(self) -> float:
        """The temperature of the next attempt."""
        return ladder(self.options)[len(self.attempts)]

    @property
    def key(self) -> BatchKey:
        """What it has in common with the windows that it may be decoded with."""
        sampling = self.temperature > 0
        return BatchKey(
            context=self.features.shape[1],
            is_encoded=self.encoded is not None,
            detects=self.language is None,
            prompt_length=len(self.prompt),
            ends_with=self.prompt[-1] if self.prompt else None,
            temperature=self.temperature,
            beam_size=self.options.best_of if sampling else self.options.beam_size,
            patience=1.0 if sampling else self.options.patience,
        )

    @property
    def is_short(self) -> bool:
        """Whether the encoder gets it without padding to 30 s."""
        return bool(self.features.shape[1] < FULL_CONTEXT_FRAMES)

    def pad(self) -> None:
        """Give the encoder the full context, which all weights know, from the next round on."""
        n_missing = FULL_CONTEXT_FRAMES - self.features.shape[1]
        self.features = np.pad(self.features, ((0, 0), (0, n_missing)))
        self.encoded = None

    def again(self) -> "WindowTask":
        """Return the same window for another pass, with a future of its own."""
        return replace(self, future=Future())


def ladder(options: TranscriptionOptions) -> tuple[float, ...]:
    """Return the temperatures to try, the first one first."""
    return (options.temperature,) if options.temperature else TEMPERATURE_LADDER


def run_batch(model: Model, tasks: list[WindowTask]) -> list[WindowTask]:
    """Decode windows of one key in one engine call and settle their futures.

    Returns:
        the windows that must go round again.
    """
    key = tasks[0].key
    encoded = _encode(model, tasks, key)
    if key.detects:
        _detect(model, tasks, encoded)
        return []
    results = _generate(model, tasks, key, encoded)
    again, read = [], []
    for row, (task, result) in enumerate(zip(tasks, results, strict=True)):
        attempt = _attempt(model, task, result)
        is_suspicious = _needs_fallback(attempt, task.options)
        if is_suspicious and task.is_short:
            # The missing padding may be to blame: that is ruled out before any temperature.
            task.n_attempts += 1
            task.pad()
            again.append(task)
            continue
        if is_suspicious and _has_next(task):
            task.n_attempts += 1
            task.attempts.append(attempt)
            task.encoded = rows_of(encoded, [row])[0]
            again.append(task)
        else:
            read.append((row, task, _decoded(model, task, attempt)))
    # May fail, and then all begin again: no attempt of theirs is on record before it is over.
    add_words(model, [_said(*each) for each in read if _needs_words(model, each[1])], encoded)
    for _, task, decoded in read:
        task.future.set_result(_with_rest(model, task, decoded))
    return again


def _encode(model: Model, tasks: list[WindowTask], key: BatchKey) -> ctranslate2.StorageView:
    if key.is_encoded:
        outputs = [task.encoded for task in tasks if task.encoded is not None]
        return ctranslate2.StorageView.from_array(np.stack(outputs))
    return model.encode(np.stack([task.features for task in tasks]))


def _detect(model: Model, tasks: list[WindowTask], encoded: ctranslate2.StorageView) -> None:
    found = model.whisper.detect_language(encoded)
    for row, (task, ranking) in enumerate(zip(tasks, found, strict=True)):
        task.encoded = rows_of(encoded, [row])[0]
        task.future.set_result({token[2:-2]: probability for token, probability in ranking})


def _generate(
    model: Model, tasks: list[WindowTask], key: BatchKey, encoded: ctranslate2.StorageView
) -> list[Any]:
    n_tokens = text_room(key.context)
    search: dict[str, Any] = {"beam_size": key.beam_size, "patience": key.patience}
    if key.temperature > 0:
        search = {"beam_size": 1, "num_hypotheses": key.beam_size, "sampling_topk": 0}
        search["sampling_temperature"] = key.temperature
    found: list[Any] = model.whisper.generate(
        encoded,
        [task.prompt for task in tasks],
        # CTranslate2 gives at most half of max_length to new tokens, and what the prompt leaves.
        max_length=min(MAX_TOKENS, max(2 * n_tokens, key.prompt_length + n_tokens)),
        return_scores=True,
        return_no_speech_prob=True,
        suppress_tokens=model.suppressed_tokens,
        **search,
    )
    return found


def _attempt(model: Model, task: WindowTask, result: Any) -> Attempt:
    tokens = list(result.sequences_ids[0])
    text = model.tokenizer(task.language, task.options.task).decode(tokens).strip()
    return Attempt(
        tokens=tokens,
        temperature=task.temperature,
        avg_logprob=mean_log_prob(result.scores[0], len(tokens)),
        compression_ratio=compression_ratio(text),
        no_speech_prob=result.no_speech_prob,
        fills_its_room=task.is_short and len(tokens) >= text_room(task.features.shape[1]),
    )


def _needs_fallback(attempt: Attempt, options: TranscriptionOptions) -> bool:
    if _is_silence(attempt, options):
        return False
    return _repeats(attempt, options) or _is_unlikely(attempt, options)


def _repeats(attempt: Attempt, options: TranscriptionOptions) -> bool:
    limit = options.compression_ratio_threshold
    if limit is None:
        return False
    return attempt.compression_ratio > limit or attempt.fills_its_room


def _is_unlikely(attempt: Attempt, options: TranscriptionOptions) -> bool:
    limit = options.log_prob_threshold
    return limit is not None and attempt.avg_logprob < limit


def _is_silence(attempt: Attempt, options: TranscriptionOptions) -> bool:
    limit = options.no_speech_threshold
    if limit is None or attempt.no_speech_prob <= limit:
        return False
    return options.log_prob_threshold is None or _is_unlikely(attempt, options)


def _has_next(task: WindowTask) -> bool:
    return len(task.attempts) + 1 < len(ladder(task.options))


def _decoded(model: Model, task: WindowTask, last: Attempt) -> Decoded:
    """Return what was found in a window that is not decoded again; words get their times later."""
    is_suspicious = _needs_fallback(last, task.options)
    best = _best([*task.attempts, last], task.options) if is_suspicious else last
    n_attempts = task.n_attempts + 1
    if _is_silence(best, task.options):
        return Decoded([], best, n_attempts, is_suspicious)
    tokenizer = model.tokenizer(task.language, task.options.task)
    duration = task.n_frames / FRAMES_PER_SECOND
    if not writes_times(model, task.options):
        segments = whole_window(tokenizer, best.tokens, duration)
        return Decoded(segments, best, n_attempts, is_suspicious)
    segments = split_segments(tokenizer, best.tokens, duration)
    left = unread_from(best.tokens, tokenizer.timestamp_begin, duration)
    return Decoded(segments, best, n_attempts, is_suspicious, left)


def _with_rest(model: Model, task: WindowTask, decoded: Decoded) -> Decoded:
    """Return it with where reading is to go on, told by the times of its words if need be."""
    if writes_times(model, task.options) or not task.options.vad_filter:
        return decoded
    words = [word for segment in decoded.segments for word in segment.words or ()]
    read_s = words[-1].end if words else 0.0
    if read_s < LEAST_READ_S or task.n_frames / FRAMES_PER_SECOND - read_s < _LEAST_REST_S:
        return decoded
    return replace(decoded, unread_from=read_s, is_told_by_words=True)


def _needs_words(model: Model, task: WindowTask) -> bool:
    return task.options.word_timestamps or not writes_times(model, task.options)


def _said(row: int, task: WindowTask, decoded: Decoded) -> Said:
    left = decoded.unread_from
    # Its words are in what was read: what comes after is aligned with words of its own.
    n_read = task.n_frames if left is None else round(left * FRAMES_PER_SECOND)
    return Said(row, task.language or "", task.options.task, decoded.segments, n_read)


def _best(attempts: list[Attempt], options: TranscriptionOptions) -> Attempt:
    """Choose when every temperature was suspicious: the likeliest that does not repeat itself."""
    calm = [attempt for attempt in attempts if not _repeats(attempt, options)]
    return max(calm or attempts, key=lambda attempt: attempt.avg_logprob)
