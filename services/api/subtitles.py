"""Readable subtitles: a transcript cut into cues of two short lines and a few seconds.

Pure functions. Times come from words where the transcript has them; without, a segment's time is
shared out by the length of its words.
"""

import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.contract.schema import Seconds, Segment

# What subtitle guidelines of broadcasters agree on: two lines of 42 characters, 7 seconds.
MAX_LINE_CHARS = 42
MAX_LINES = 2
MAX_CUE_S = 7.0
# A pause of this length in the speech ends a cue.
MAX_PAUSE_S = 1.0
# A sentence that ends after this many characters ends its cue too.
MIN_SENTENCE_CHARS = 20
MIN_CUE_S = 0.1
_SENTENCE_END = (".", "?", "!", "…", "。", "？", "！")


@dataclass(frozen=True)
class Cue:
    """What stands on the screen from `start` to `end`."""

    start: Seconds
    end: Seconds
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """A word with the space before it, as the model wrote it."""

    text: str
    start: Seconds
    end: Seconds


def cues(segments: Iterable[Segment]) -> list[Cue]:
    """Return the cues of a transcript, in order and without overlap."""
    found = [_cue(group) for segment in segments for group in _groups(_pieces(segment))]
    return _in_turn(found)


def _pieces(segment: Segment) -> list[_Piece]:
    timed = [_Piece(word.word, word.start, word.end) for word in segment.words or ()]
    if not timed:
        timed = _shared_out(segment)
    return [part for piece in timed if piece.text.strip() for part in _split_long(piece)]


def _shared_out(segment: Segment) -> list[_Piece]:
    """Give each word of a segment a share of its time, by its length."""
    words = re.findall(r"\s*\S+", segment.text)
    n_chars = sum(len(word) for word in words)
    pieces, position = [], 0
    for word in words:
        start = segment.start + (segment.end - segment.start) * position / n_chars
        position += len(word)
        end = segment.start + (segment.end - segment.start) * position / n_chars
        pieces.append(_Piece(word, start, end))
    return pieces


def _split_long(piece: _Piece) -> list[_Piece]:
    """Cut what no line can hold: a very long word, or text of a script without spaces."""
    if len(piece.text.strip()) <= MAX_LINE_CHARS:
        return [piece]
    text = piece.text
    parts = [text[i : i + MAX_LINE_CHARS] for i in range(0, len(text), MAX_LINE_CHARS)]
    step = (piece.end - piece.start) / len(parts)
    return [
        _Piece(part, piece.start + i * step, piece.start + (i + 1) * step)
        for i, part in enumerate(parts)
    ]


def _groups(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and _starts_new_cue(group, piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _starts_new_cue(group: list[_Piece], piece: _Piece) -> bool:
    text = _text(group)
    return (
        piece.start - group[-1].end > MAX_PAUSE_S
        or piece.end - group[0].start > MAX_CUE_S
        or len(_wrap(_text([*group, piece]))) > MAX_LINES
        or (len(text) >= MIN_SENTENCE_CHARS and text.endswith(_SENTENCE_END))
    )


def _cue(group: list[_Piece]) -> Cue:
    start = group[0].start
    end = min(max(group[-1].end, start + MIN_CUE_S), start + MAX_CUE_S)
    return Cue(start, end, tuple(_balanced(_text(group))))


def _text(group: list[_Piece]) -> str:
    return " ".join("".join(piece.text for piece in group).split())


def _wrap(text: str, width: int = MAX_LINE_CHARS) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _balanced(text: str) -> list[str]:
    """Wrap into as few lines as possible, of about the same length."""
    lines = _wrap(text)
    for width in range(-(-len(text) // len(lines)), MAX_LINE_CHARS):
        narrow = _wrap(text, width)
        if len(narrow) == len(lines):
            return narrow
    return lines


def _in_turn(found: list[Cue]) -> list[Cue]:
    """Show one cue after the other, each long enough to be seen.

    A cue ends when the next one begins; where words have no length of their own, and so several
    cues the same moment, the later ones wait.
    """
    found.sort(key=lambda cue: cue.start)
    starts = [*(cue.start for cue in found[1:]), math.inf]
    shown: list[Cue] = []
    for cue, following in zip(found, starts, strict=False):
        start = max(cue.start, shown[-1].end) if shown else cue.start
        end = max(min(cue.end, following), start + MIN_CUE_S)
        shown.append(Cue(start, end, cue.lines))
    return shown
