"""What a model makes of a window, which may take it more than one look.

It may stop before the end, which it says or the times of its words show: the rest is then read as a
window of its own, as Whisper's own loop does. And a model that knows single sentences is sure of
those and unsure of several at once. So speech with pauses is read as one first; only what comes out
unsure is cut and read again, and the likelier reading stands. Cutting first would break slow
sentences, never cutting would garble quick ones.
"""

import re
from itertools import pairwise

from services.worker.decoding import Decoded
from services.worker.windows import Window

#: Mean log probability of a token above which a reading is not doubted. Chosen, as the next one, on
#: espeak's voices: hardly any reading above it is wrong; of a slow single sentence one often is not
#: above it, but then cutting makes it less likely still.
_SURE = -0.08
#: A rest holds nothing if it is no speech by more than this probability, and its text no likelier
#: than this (mean log probability). Chosen on recordings of people and whisper tiny.en: rests with
#: words had at most 0.41 and at least -0.63, "Thank you." out of noise more than 0.64 and -0.73
#: at most.
_NO_SPEECH, _UNSURE = 0.6, -0.5
#: By so much cut sentences look less likely than they are: each begins without what came before.
_LOSS_BY_CUTTING = 0.1

Piece = tuple[Window, Decoded]


class Readings:
    """A window as one, and cut at its pauses, as far as it was read."""

    def __init__(self, window: Window) -> None:
        """Begin with the window as one, which is to be read first."""
        self.window = window
        self._whole: list[Piece] = []
        self._cut: list[Piece] = []
        self._current = self._whole
        self._n_awaited = 1

    @property
    def are_complete(self) -> bool:
        """Whether nothing is left to be read."""
        return not self._n_awaited

    def add(self, window: Window, decoded: Decoded) -> list[Window]:
        """Take what was found in the window or in a part of it; return what is to be read next."""
        self._current.append((window, decoded))
        self._n_awaited -= 1
        following = [] if decoded.unread_from is None else [window.rest(decoded.unread_from)]
        if not (following or self._n_awaited) and self._is_doubtful():
            self._current = self._cut
            following = self.window.parts()
        self._n_awaited += len(following)
        return following

    def better(self) -> list[Piece]:
        """Return the reading that is not suspicious, else the likelier one, once all is there."""
        if not self._cut or not self._is_better_cut():
            return _without_empty_rests(self._whole)
        return _without_empty_rests(sorted(self._cut, key=lambda piece: piece[0].start))

    def _is_doubtful(self) -> bool:
        """Whether the window should be cut and read again."""
        if self._current is self._cut or len(self.window.parts()) == 1:
            return False
        return _is_suspicious(self._whole) or _mean_log_prob(self._whole) < _SURE

    def _is_better_cut(self) -> bool:
        if _is_suspicious(self._cut) != _is_suspicious(self._whole):
            return _is_suspicious(self._whole)  # What repeats itself is likely, and wrong.
        return _mean_log_prob(self._cut) + _LOSS_BY_CUTTING >= _mean_log_prob(self._whole)


def _without_empty_rests(pieces: list[Piece]) -> list[Piece]:
    """Leave out rests in which nothing more was said, if only the times of words told of them: then
    the model had read to the end.
    """
    kept = pieces[:1]
    for (_, earlier), piece in pairwise(pieces):
        is_empty = _repeats(piece, kept[-1]) or _is_noise(piece)
        if not (is_empty and earlier.is_told_by_words):
            kept.append(piece)
    return kept


def _repeats(piece: Piece, earlier: Piece) -> bool:
    """Whether a piece says again what was said last: it began too early."""
    words, before = _bare_words(piece), _bare_words(earlier)
    return bool(words) and before[-len(words) :] == words


def _is_noise(piece: Piece) -> bool:
    attempt = piece[1].attempt
    return attempt.no_speech_prob > _NO_SPEECH and attempt.avg_logprob < _UNSURE


def _bare_words(piece: Piece) -> list[str]:
    text = "".join(segment.text for segment in piece[1].segments)
    return re.findall(r"\w+", text.lower())


def _is_suspicious(pieces: list[Piece]) -> bool:
    return any(decoded.is_suspicious for _, decoded in pieces)


def _mean_log_prob(pieces: list[Piece]) -> float:
    """Return the mean over all tokens, each piece's end token among them."""
    attempts = [decoded.attempt for _, decoded in pieces]
    weights = [len(attempt.tokens) + 1 for attempt in attempts]
    sums = (w * attempt.avg_logprob for w, attempt in zip(weights, attempts, strict=True))
    return sum(sums) / sum(weights)
