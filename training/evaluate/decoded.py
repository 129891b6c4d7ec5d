"""Transcripts of clips and of parts of clips, and how those of several passes become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.prepare.shards import SAMPLE_RATE, Clip, PreparedCorpus

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model said about one recording."""

    text: str
    n_tokens: int
    ended: bool
    """False when the token limit was reached before end-of-text."""
    is_suspicious: bool
    """Whether the service would decode it again."""
    unread_from: float | None = None
    """Where the model stopped before the end, in seconds, although there is more to read."""

    def followed_by(self, rest: "Decoded") -> "Decoded":
        """Return what was said in both."""
        return Decoded(
            f"{self.text} {rest.text}".strip(),
            self.n_tokens + rest.n_tokens,
            rest.ended,
            self.is_suspicious or rest.is_suspicious,
            rest.unread_from,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A clip, or the rest of one."""

    clip: Clip
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.clip.duration_s - self.start_s

    def samples(self, corpus: PreparedCorpus) -> Samples:
        """Read it."""
        return corpus.samples(self.clip)[round(self.start_s * SAMPLE_RATE) :]

    def rest(self, seconds: float) -> "Piece":
        """Return what comes after so many seconds of it."""
        return Piece(self.clip, self.start_s + seconds)


@dataclass(frozen=True, slots=True)
class DecodedSet:
    """The transcripts of clips, in the order in which those were given."""

    decoded: tuple[Decoded, ...]
    audio_s: float
    processing_s: float
    """Features, encoder, decoder and text; not reading the audio."""

    @property
    def real_time_factor(self) -> float:
        """Processing time per second of audio; below 1 is faster than real time."""
        return self.processing_s / self.audio_s if self.audio_s else 0.0

    def with_some_again(self, indices: Sequence[int], again: "DecodedSet") -> "DecodedSet":
        """Return the set with the transcripts at `indices` replaced, and the time of both."""
        return self._with(dict(zip(indices, again.decoded, strict=True)), again)

    def with_rests(self, indices: Sequence[int], rests: "DecodedSet") -> "DecodedSet":
        """Return the set with the transcripts at `indices` continued, and the time of both."""
        pairs = zip(indices, rests.decoded, strict=True)
        return self._with({i: self.decoded[i].followed_by(rest) for i, rest in pairs}, rests)

    def _with(self, new: dict[int, Decoded], work: "DecodedSet") -> "DecodedSet":
        decoded = tuple(new.get(index, old) for index, old in enumerate(self.decoded))
        return DecodedSet(decoded, self.audio_s, self.processing_s + work.processing_s)
