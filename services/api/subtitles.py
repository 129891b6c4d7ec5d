"""Readable subtitles: a transcript cut into cues of two short lines and a few seconds.

Pure functions. Times come from words where the transcript has them; without, a segment's time is
shared out by the length of its words.
"""

import math
import re
import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from services.contract.punctuation import SENTENCE_ENDS
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
    """Cut a segment where its speech asks for it, then each part evenly: no cue is a last word."""
    for part in _cut(pieces, _ends_cue):
        yield from _evenly(part)


def _evenly(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Cut into as few cues as possible, of about the same length."""
    n_chars = sum(len(piece.text) for piece in pieces)
    fewest = len(_cut(pieces, partial(_overflows, n_chars)))
    widths = range(-(-n_chars // fewest), n_chars)

    def n_fewer(width: int) -> int:
        return -len(_cut(pieces, partial(_overflows, width)))

    narrowest = bisect_left(widths, -fewest, key=n_fewer) if fewest > 1 else 0
    return _cut(pieces, partial(_overflows, widths.start + narrowest))


def _cut(
    pieces: list[_Piece], must_cut: Callable[[list[_Piece], _Piece], bool]
) -> list[list[_Piece]]:
    """Group pieces; `must_cut` tells of a group and what follows whether a new one begins."""
    groups: list[list[_Piece]] = []
    for piece in pieces:
        if not groups or must_cut(groups[-1], piece):
            groups.append([])
        groups[-1].append(piece)
    return groups


def _ends_cue(group: list[_Piece], piece: _Piece) -> bool:
    text = _text(group)
    is_pause = piece.start - group[-1].end > MAX_PAUSE_S
    return is_pause or (len(text) >= MIN_SENTENCE_CHARS and text.endswith(SENTENCE_ENDS))


def _overflows(most_chars: int, group: list[_Piece], piece: _Piece) -> bool:
    longer = [*group, piece]
    n_chars = sum(len(each.text) for each in longer)
    if piece.end - group[0].start > MAX_CUE_S or n_chars > most_chars:
        return True
    return n_chars > MAX_LINE_CHARS and len(_wrap(_text(longer))) > MAX_LINES


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
