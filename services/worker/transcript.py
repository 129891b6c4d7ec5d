"""Decoded windows to the messages of the contract: window results and the transcript."""

from collections.abc import Iterator, Sequence

from services.contract.schema import (
    Quality,
    Seconds,
    Segment,
    Transcript,
    TranscriptionOptions,
    WindowResult,
    Word,
)
from services.worker.decoding import Decoded
from services.worker.languages import UNDETERMINED, Language
from services.worker.phrases import phrases
from services.worker.segments import RawSegment
from services.worker.windows import Window

#: Written without spaces between words. Source: openai/whisper tokenizer.py, split_to_word_tokens.
_UNSPACED = frozenset(("zh", "ja", "th", "lo", "my", "yue"))


def window_result(
    window: Window, decoded: Decoded, language: Language, *, with_words: bool
) -> WindowResult:
    """Turn what the engine found into the recording's time.

    Args:
        with_words: whether words were asked for; without, they only say where segments begin.
    """
    segments = [
        segment
        for raw in decoded.segments
        for segment in _segments(window, raw, decoded, language.code)
    ]
    if not with_words:
        segments = [segment.model_copy(update={"words": None}) for segment in segments]
    return WindowResult(
        index=window.index,
        start=window.start,
        end=window.end,
        segments=tuple(segments),
        language=language.code,
        language_probability=language.probability,
        speech_s=window.duration,
        n_attempts=decoded.n_attempts,
        is_suspicious=decoded.is_suspicious,
    )


def joined(pieces: Sequence[WindowResult], window: Window) -> WindowResult:
    """Make one result of those of a window's pieces, in order."""
    return pieces[0].model_copy(
        update={
            "end": window.end,
            "segments": tuple(segment for piece in pieces for segment in piece.segments),
            "speech_s": window.duration,
            "n_attempts": max(piece.n_attempts for piece in pieces),
            "is_suspicious": any(piece.is_suspicious for piece in pieces),
        }
    )


def _segments(
    window: Window, raw: RawSegment, decoded: Decoded, language: str
) -> Iterator[Segment]:
    """Yield a span of the window as it is, or its words as segments, if their times are known."""
    words = [_word(window, word) for word in raw.words or ()]
    if not words:
        start, end = window.in_recording(raw.start, raw.end)
        yield _segment(decoded, language, raw.text, raw.tokens, start, end)
    for first, after in phrases(words):
        own = tuple(words[first:after])
        text = "".join(word.word for word in own)
        tokens = [token for tokens in raw.word_tokens[first:after] for token in tokens]
        start, end = own[0].start, max(own[0].start, own[-1].end)
        yield _segment(decoded, language, text, tokens, start, end, own)


def _segment(
    decoded: Decoded,
    language: str,
    text: str,
    tokens: Sequence[int],
    start: Seconds,
    end: Seconds,
    words: tuple[Word, ...] | None = None,
) -> Segment:
    attempt = decoded.attempt
    return Segment(
        start=start,
        end=end,
        text=spaced(text, language),
        tokens=tuple(tokens),
        temperature=attempt.temperature,
        avg_logprob=attempt.avg_logprob,
        compression_ratio=attempt.compression_ratio,
        no_speech_prob=attempt.no_speech_prob,
        language=language,
        words=words,
    )


def _word(window: Window, word: Word) -> Word:
    start, end = window.in_recording(word.start, word.end, as_one=True)
    return word.model_copy(update={"start": start, "end": end})


def spaced(text: str, language: str) -> str:
    """Return a segment's text so that segments can be joined: one space before it, as Whisper has.

    Models that were tuned on labels without that space would glue sentences together.
    """
    return text.strip() if language in _UNSPACED else " " + text.strip()


def assemble(
    windows: Sequence[WindowResult],
    options: TranscriptionOptions,
    *,
    bundle: str,
    language: Language | None,
    duration: float,
    processing_s: float,
) -> Transcript:
    """Join the finished windows of a recording, in order.

    Args:
        language: what was given or detected; None takes the windows' own.
        duration: seconds of the recording.
    """
    segments = tuple(segment for window in windows for segment in window.segments)
    language = language or _main_language(windows)
    speech_s = sum(window.speech_s for window in windows)
    return Transcript(
        text="".join(segment.text for segment in segments).strip(),
        segments=segments,
        task=options.task,
        language=language.code,
        language_probability=language.probability,
        duration=duration,
        bundle=bundle,
        processing_s=processing_s,
        quality=Quality(
            speech_s=speech_s,
            silence_removed_s=max(0.0, duration - speech_s),
            n_windows=len(windows),
            n_fallbacks=sum(window.n_attempts > 1 for window in windows),
            n_suspicious=sum(window.is_suspicious for window in windows),
            n_without_text=sum(not window.segments for window in windows),
        ),
    )


def _main_language(windows: Sequence[WindowResult]) -> Language:
    """Return the language that most of the speech is in."""
    if not windows:
        return UNDETERMINED
    spoken: dict[str, float] = {}
    for window in windows:
        spoken[window.language] = spoken.get(window.language, 0.0) + window.speech_s
    code = max(spoken, key=lambda known: spoken[known])
    return Language(code, max(w.language_probability for w in windows if w.language == code))
