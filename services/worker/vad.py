"""Voice activity detection on a stream: finds the same speech chunks as faster-whisper does on a
whole recording, while holding only a few numbers between blocks.

The Silero network is the one in faster-whisper's wheel; its recurrent state is carried from block
to block. Source: faster_whisper/vad.py, get_speech_timestamps and SileroVADModel.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from services.contract.schema import VadOptions
from services.contract.settings import forbid_reports
from services.worker.samples import SAMPLE_RATE, SAMPLES_PER_MS, Samples

FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64
#: A pause that may end a chunk of the greatest length.
_SHORT_PAUSE_SAMPLES = 98 * SAMPLES_PER_MS
#: Speech is not cut shorter than this, however wide the padding around it.
_LEAST_ROOM_SAMPLES = 2 * SAMPLE_RATE


@dataclass(frozen=True)
class SpeechChunk:
    """A region with speech, in samples from the start of the recording."""

    start: int
    end: int
    pauses: tuple[int, ...] = ()
    """Where it may be cut, if it holds several sentences."""


class SpeechProbabilities:
    """The Silero network over a stream: one probability per 32 ms frame."""

    def __init__(self) -> None:
        forbid_reports()
        self._session = get_vad_model().session
        self._hidden = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Return the speech probability of each frame.

        Args:
            samples: shape (n_frames * 512,), following those of the last call.
        """
        frames = samples.reshape(-1, FRAME_SAMPLES)
        if len(frames) == 0:
            return np.zeros(0, np.float32)
        tails = np.vstack([self._context, frames[:-1, -_CONTEXT_SAMPLES:]])
        self._context = frames[-1, -_CONTEXT_SAMPLES:].copy()
        output, self._hidden, self._cell = self._session.run(
            None,
            {"input": np.hstack([tails, frames]), "h": self._hidden, "c": self._cell},
        )
        return np.asarray(output, np.float32).reshape(-1)


class Bounds(Protocol):
    """Where speech starts and ends, from one probability after the other; no padding yet."""

    @property
    def position(self) -> int:
        """The first sample that was not looked at."""

    @property
    def current_start(self) -> int | None:
        """Where the speech began that has not ended yet."""

    def step(self, probability: float) -> list[SpeechChunk]:
        """Take the next frame's probability; return the speech that ended with it."""

    def finish(self, n_samples: int) -> list[SpeechChunk]:
        """Return the speech that the end of the recording cut off."""


class SpeechDetector:
    """Turns blocks of samples into speech chunks, each as soon as its bounds are certain."""

    def __init__(self, bounds: Bounds, *, pad_ms: int) -> None:
        self._probabilities = SpeechProbabilities()
        self._rest = np.zeros(0, np.float32)
        self._n_samples = 0
        self._bounds = bounds
        self._padding = Padding(pad_ms * SAMPLES_PER_MS)

    @property
    def needed_from(self) -> int:
        """The first sample that a chunk still to come may contain."""
        current = self._bounds.current_start
        undecided = self._bounds.position if current is None else current
        open_from = self._padding.open_from
        earliest = undecided - self._padding.n_samples
        return max(0, earliest if open_from is None else min(earliest, open_from))

    def feed(self, block: Samples) -> list[SpeechChunk]:
        """Take the next block, shape (n_samples,), and return the chunks that are now certain."""
        self._n_samples += len(block)
        samples = np.concatenate([self._rest, block])
        n_whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = samples[n_whole:]
        return self._advance(samples[:n_whole])

    def finish(self) -> list[SpeechChunk]:
        """Return the last chunks; the recording has ended."""
        last = np.pad(self._rest, (0, FRAME_SAMPLES - len(self._rest)))
        # As faster-whisper, which clears the context of the first frame by way of the last one's.
        last[-_CONTEXT_SAMPLES:] = 0
        chunks = self._advance(last)
        for speech in self._bounds.finish(self._n_samples):
            chunks += self._padding.add(speech)
        return chunks + self._padding.finish(self._n_samples)

    def _advance(self, samples: Samples) -> list[SpeechChunk]:
        chunks: list[SpeechChunk] = []
        for probability in self._probabilities.feed(samples).tolist():
            for speech in self._bounds.step(probability):
                chunks += self._padding.add(speech)
        if self._bounds.current_start is None:
            chunks += self._padding.settle(min(self._bounds.position, self._n_samples))
        return chunks


class SpeechBounds:
    """The bounds that faster-whisper finds."""

    def __init__(self, options: VadOptions, *, max_speech_s: float) -> None:
        self._threshold = options.threshold
        self._quiet_threshold = max(options.threshold - 0.15, 0.01)
        self._min_speech = options.min_speech_duration_ms * SAMPLES_PER_MS
        self._min_silence = options.min_silence_duration_ms * SAMPLES_PER_MS
        padding = 2 * options.speech_pad_ms * SAMPLES_PER_MS
        room = SAMPLE_RATE * max_speech_s - FRAME_SAMPLES - padding
        self.max_speech = max(room, _LEAST_ROOM_SAMPLES)
        """Longer speech is cut, in samples."""
        self._start: int | None = None
        self._quiet_from = 0
        self._cut_at = 0
        self._resume_at = 0
        self.position = 0

    @property
    def current_start(self) -> int | None:
        """Where the speech began that has not ended yet."""
        return self._start

    def step(self, probability: float) -> list[SpeechChunk]:
        """Take the next frame's probability; return the speech that ended with it."""
        at = self.position
        self.position += FRAME_SAMPLES
        if probability >= self._threshold and self._quiet_from:
            self._quiet_from = 0
            if self._resume_at < self._cut_at:
                self._resume_at = at
        if probability >= self._threshold and self._start is None:
            self._start = at
            return []
        ended: list[SpeechChunk] = []
        if self._start is not None and at - self._start > self.max_speech:
            ended.append(self._cut(self._start, at))
        if self._start is not None and probability < self._quiet_threshold:
            ended += self._pause(self._start, at)
        return ended

    def finish(self, n_samples: int) -> list[SpeechChunk]:
        """Return the speech that the end of the recording cut off."""
        if self._start is None or n_samples - self._start <= self._min_speech:
            return []
        return [SpeechChunk(self._start, n_samples)]

    def _cut(self, start: int, at: int) -> SpeechChunk:
        """End speech that is too long: at its last short pause, else here."""
        if not self._cut_at:
            self._reset()
            return SpeechChunk(start, at)
        speech = SpeechChunk(start, self._cut_at)
        resumed = self._resume_at if self._resume_at >= self._cut_at else None
        self._reset()
        self._start = resumed
        return speech

    def _pause(self, start: int, at: int) -> list[SpeechChunk]:
        if not self._quiet_from:
            self._quiet_from = at
        if at - self._quiet_from > _SHORT_PAUSE_SAMPLES:
            self._cut_at = self._quiet_from
        if at - self._quiet_from < self._min_silence:
            return []
        speech = SpeechChunk(start, self._quiet_from)
        self._reset()
        return [speech] if speech.end - speech.start > self._min_speech else []

    def _reset(self) -> None:
        self._start = None
        self._quiet_from = self._cut_at = self._resume_at = 0


class Padding:
    """Widens speech on both sides, never into its neighbour."""

    def __init__(self, pad_samples: int) -> None:
        self.n_samples = pad_samples
        self._last: SpeechChunk | None = None

    @property
    def open_from(self) -> int | None:
        """Where the chunk begins whose end is still open."""
        return self._last.start if self._last else None

    def add(self, speech: SpeechChunk) -> list[SpeechChunk]:
        """Take the next speech; return the chunk before it, now that its end is certain."""
        if self._last is None:
            self._last = replace(speech, start=max(0, speech.start - self.n_samples))
            return []
        silence = speech.start - self._last.end
        if silence < 2 * self.n_samples:
            end, start = self._last.end + silence // 2, max(0, speech.start - silence // 2)
        else:
            end, start = self._last.end + self.n_samples, max(0, speech.start - self.n_samples)
        settled = replace(self._last, end=end)
        self._last = replace(speech, start=start)
        return [settled]

    def settle(self, quiet_until: int) -> list[SpeechChunk]:
        """Return the open chunk if the silence after it is so long that no speech can narrow it."""
        if self._last is None or quiet_until - self._last.end < 2 * self.n_samples:
            return []
        settled = replace(self._last, end=self._last.end + self.n_samples)
        self._last = None
        return [settled]

    def finish(self, n_samples: int) -> list[SpeechChunk]:
        """Return the last chunk; its end is at most the recording's."""
        if self._last is None:
            return []
        return [replace(self._last, end=min(n_samples, self._last.end + self.n_samples))]
