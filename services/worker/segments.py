"""What a model wrote to segments, in window time."""

from dataclasses import dataclass

from faster_whisper.tokenizer import Tokenizer

from services.contract.schema import Word
from services.contract.unread import TIME_PRECISION_S


@dataclass
class RawSegment:
    """A span of text in window time; `add_words` may give it words later."""

    start: float
    end: float
    tokens: list[int]
    text: str
    words: tuple[Word, ...] | None = None
    word_tokens: tuple[tuple[int, ...], ...] = ()
    """Tokens of each of its words."""


def whole_window(tokenizer: Tokenizer, tokens: list[int], duration: float) -> list[RawSegment]:
    """Return what was written without timestamps as one segment; none if there is no text.

    Args:
        tokens: without prompt and end token.
        duration: seconds of sound in the window.
    """
    text_tokens = [token for token in tokens if token < tokenizer.eot]
    text = tokenizer.decode(text_tokens)
    return [RawSegment(0.0, duration, text_tokens, text)] if text.strip() else []


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


def _spans(tokens: list[int], timestamp_begin: int) -> list[list[int]]:
    cuts = [
        index
        for index in range(1, len(tokens))
        if tokens[index] >= timestamp_begin and tokens[index - 1] >= timestamp_begin
    ]
    bounds = zip([0, *cuts], [*cuts, len(tokens)], strict=True)
    return [tokens[start:end] for start, end in bounds if end > start]
