"""Timestamp tokens to segments, in window time."""

from dataclasses import dataclass

from faster_whisper.tokenizer import Tokenizer

from services.contract.schema import Word

#: Seconds that one timestamp token stands for.
TIME_PRECISION_S = 0.02
#: A look that read less of a window is not worth another one.
_LEAST_PROGRESS_S = 0.5


@dataclass
class RawSegment:
    """A timestamped span of text in window time; words are added later, if asked for."""

    start: float
    end: float
    tokens: list[int]
    text: str
    words: tuple[Word, ...] | None = None


def split_segments(tokenizer: Tokenizer, tokens: list[int], duration: float) -> list[RawSegment]:
    """Cut a window's tokens where one timestamp follows another.

    Unlike faster-whisper's loops, text after the last pair of timestamps is kept, to the end of
    the window: it reaches that far. Times never run backwards nor past the window.

    Args:
        tokens: text and timestamp tokens, without prompt and end token.
        duration: seconds of sound in the window.
    """
    segments: list[RawSegment] = []
    reached = 0.0
    for span in _spans(tokens, tokenizer.timestamp_begin):
        text = tokenizer.decode(span)
        if not text.strip():
            continue
        stamps = [t - tokenizer.timestamp_begin for t in span if t >= tokenizer.timestamp_begin]
        opens = span[0] >= tokenizer.timestamp_begin
        closes = span[-1] >= tokenizer.timestamp_begin and len(stamps) > opens
        start = stamps[0] * TIME_PRECISION_S if opens else reached
        end = stamps[-1] * TIME_PRECISION_S if closes else duration
        start = min(max(start, reached), duration)
        reached = max(start, min(end, duration))
        segments.append(RawSegment(round(start, 2), round(reached, 2), span, text))
    return segments


def unread_from(tokens: list[int], timestamp_begin: int) -> float | None:
    """Return the window time from which the model heard more than it wrote.

    None if it wrote all, or so little that going on from there would not end.

    It was taught to leave out what the end of a window cuts off, and says so by a pair of
    timestamps at the end where there would be one.
    Source: openai/whisper transcribe.py, single_timestamp_ending.
    """
    if len(tokens) < 2 or min(tokens[-2:]) < timestamp_begin:
        return None
    seconds = (tokens[-2] - timestamp_begin) * TIME_PRECISION_S
    return seconds if seconds >= _LEAST_PROGRESS_S else None


def _spans(tokens: list[int], timestamp_begin: int) -> list[list[int]]:
    cuts = [
        index
        for index in range(1, len(tokens))
        if tokens[index] >= timestamp_begin and tokens[index - 1] >= timestamp_begin
    ]
    bounds = zip([0, *cuts], [*cuts, len(tokens)], strict=True)
    return [tokens[start:end] for start, end in bounds if end > start]
