"""Speech chunks as windows of at most 30 s, and the way back to the recording's time.

How long a window may be, and whether it is filled from both sides of a pause, depends on what the
model was trained on: its bundle says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from faster_whisper.vad import SpeechTimestampsMap

from services.contract.schema import TranscriptionOptions
from services.contract.window_shape import WindowShape
from services.worker.samples import SAMPLE_RATE, Samples
from services.worker.sentences import SentenceBounds
from services.worker.vad import SpeechBounds, SpeechChunk, SpeechDetector

#: Part of the key of checkpoints: raise it when the same recording is cut into other windows.
CUT_VERSION = 2
#: Without voice activity detection a window ends at the quietest tenth second of its last sixth.
_LAST_PARTS = 6
_QUIET_SAMPLES = SAMPLE_RATE // 10


@dataclass(frozen=True)
class Window:
    """What the encoder gets at once: speech chunks end to end, the silence between them cut."""

    index: int
    samples: Samples
    chunks: tuple[SpeechChunk, ...]

    @property
    def start(self) -> float:
        """Where its first chunk starts in the recording, in seconds."""
        return self.chunks[0].start / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Where its last chunk ends in the recording, in seconds."""
        return self.chunks[-1].end / SAMPLE_RATE

    @property
    def duration(self) -> float:
        """Seconds of speech in it."""
        return len(self.samples) / SAMPLE_RATE

    def parts(self) -> list["Window"]:
        """Cut it at the pauses of its only chunk; a window of several is one part."""
        chunk = self.chunks[0]
        if len(self.chunks) > 1 or not chunk.pauses:
            return [self]
        spans = pairwise([chunk.start, *chunk.pauses, chunk.end])
        return [
            Window(
                self.index, self.samples[a - chunk.start : b - chunk.start], (SpeechChunk(a, b),)
            )
            for a, b in spans
        ]

    def rest(self, seconds: float) -> "Window":
        """Return what comes after so many seconds of the window."""
        n_left_out = round(seconds * SAMPLE_RATE)
        chunks, position = [], 0
        for chunk in self.chunks:
            length = chunk.end - chunk.start
            if n_left_out < position + length:
                chunks.append(SpeechChunk(chunk.start + max(0, n_left_out - position), chunk.end))
            position += length
        return Window(self.index, self.samples[n_left_out:], tuple(chunks))

    @cached_property
    def _map(self) -> SpeechTimestampsMap:
        chunks = [{"start": chunk.start, "end": chunk.end} for chunk in self.chunks]
        return SpeechTimestampsMap(chunks, SAMPLE_RATE, time_precision=3)

    def in_recording(
        self, start: float, end: float, *, as_one: bool = False
    ) -> tuple[float, float]:
        """Turn a span of window time into recording time, both in seconds.

        Args:
            as_one: both ends belong to one chunk, the one of the span's middle: a word never
                spans a pause.
        """
        start, end = min(start, self.duration), min(end, self.duration)
        chunk = self._map.get_chunk_index((start + end) / 2) if as_one else None
        first = max(self.start, self._map.get_original_time(start, chunk))
        last = min(self.end, self._map.get_original_time(end, chunk, is_end=True))
        return float(first), float(max(first, last))


class Chunker(Protocol):
    """Finds the parts of a recording that are worth decoding."""

    @property
    def needed_from(self) -> int:
        """The first sample that a chunk still to come may contain."""

    def feed(self, block: Samples) -> list[SpeechChunk]:
        """Take the next block; return the chunks that are certain."""

    def finish(self) -> list[SpeechChunk]:
        """Return the last chunks."""


class EverythingChunker:
    """Keeps silence too, and cuts where it is quietest: for `vad_filter=False`."""

    def __init__(self, max_s: float) -> None:
        self._n_window = int(max_s * SAMPLE_RATE)
        self._samples = np.zeros(0, np.float32)
        self.needed_from = 0

    def feed(self, block: Samples) -> list[SpeechChunk]:
        """Take the next block; return a chunk for each full window."""
        self._samples = np.concatenate([self._samples, block])
        chunks = []
        while len(self._samples) > self._n_window:
            chunks.append(self._take(self._quietest()))
        return chunks

    def finish(self) -> list[SpeechChunk]:
        """Return what is left."""
        return [self._take(len(self._samples))] if len(self._samples) else []

    def _quietest(self) -> int:
        n_candidates = max(1, self._n_window // _LAST_PARTS // _QUIET_SAMPLES)
        cut_from = self._n_window - n_candidates * _QUIET_SAMPLES
        candidates = self._samples[cut_from : self._n_window].reshape(-1, _QUIET_SAMPLES)
        quietest = int(np.argmin(np.square(candidates).mean(axis=1)))
        return cut_from + quietest * _QUIET_SAMPLES + _QUIET_SAMPLES // 2

    def _take(self, n_samples: int) -> SpeechChunk:
        chunk = SpeechChunk(self.needed_from, self.needed_from + n_samples)
        self._samples = self._samples[n_samples:]
        self.needed_from = chunk.end
        return chunk


class RecentSamples:
    """The part of the recording that chunks may still be cut from."""

    def __init__(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._start = 0

    def append(self, block: Samples) -> None:
        """Add the next block."""
        self._samples = np.concatenate([self._samples, block])

    def cut(self, chunk: SpeechChunk) -> Samples:
        """Return the samples of a chunk."""
        return self._samples[chunk.start - self._start : chunk.end - self._start]

    def forget_before(self, position: int) -> None:
        """Drop what no chunk will need."""
        if position > self._start:
            self._samples = self._samples[position - self._start :].copy()
            self._start = position


def cut_windows(
    blocks: Iterable[Samples], options: TranscriptionOptions, shape: WindowShape
) -> Iterator[Window]:
    """Yield the windows of a recording as soon as each is full; memory stays flat.

    Args:
        blocks: the recording, mono float32 at 16 kHz.
        options: `vad_filter` and `vad` decide what is speech.
        shape: what the model takes.
    """
    chunker = _chunker(options, shape)
    room = int(shape.window_s * SAMPLE_RATE) if shape.packs_speech else 0
    index = 0
    pieces: list[tuple[SpeechChunk, Samples]] = []
    for chunk, samples in _speech(blocks, chunker):
        if pieces and sum(len(piece) for _, piece in pieces) + len(samples) > room:
            yield _pack(index, pieces)
            index, pieces = index + 1, []
        pieces.append((chunk, samples))
    if pieces:
        yield _pack(index, pieces)


def _chunker(options: TranscriptionOptions, shape: WindowShape) -> Chunker:
    if not options.vad_filter:
        return EverythingChunker(shape.window_s)
    bounds = SpeechBounds if shape.packs_speech else SentenceBounds
    return SpeechDetector(
        bounds(options.vad, max_speech_s=shape.window_s), pad_ms=options.vad.speech_pad_ms
    )


def _speech(blocks: Iterable[Samples], chunker: Chunker) -> Iterator[tuple[SpeechChunk, Samples]]:
    recent = RecentSamples()
    for block in blocks:
        recent.append(block)
        for chunk in chunker.feed(block):
            yield chunk, recent.cut(chunk)
        recent.forget_before(chunker.needed_from)
    for chunk in chunker.finish():
        yield chunk, recent.cut(chunk)


def _pack(index: int, pieces: list[tuple[SpeechChunk, Samples]]) -> Window:
    samples = np.concatenate([samples for _, samples in pieces])
    return Window(index, samples, tuple(chunk for chunk, _ in pieces))
