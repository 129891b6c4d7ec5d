"""The time of a recording that a player would show, where its file has gaps.

In a film whose sound begins later, and in a recording that paused, samples that follow each other
are not neighbours in time. Silence takes the place of what is missing.
"""

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer

from services.contract.audio_formats import longest_gap_s
from services.worker.samples import BLOCK_SAMPLES, SAMPLE_RATE

#: Clocks are this far from what is heard without a gap: rounding, and what decoders swallow.
_LEAST_GAP_S = 0.1


class RecordingClock:
    """Compares the timestamps of frames with what was heard so far."""

    def __init__(self, container: InputContainer) -> None:
        """Begin at the time that the container calls its start."""
        self._start_s = (container.start_time or 0) / av.time_base
        self._longest_gap_s = longest_gap_s(container.format.name)
        self._heard_s = 0.0

    def silence_before(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield the silence between the last frame and this one."""
        at = self._heard_s if frame.time is None else frame.time - self._start_s
        gap = at - self._heard_s
        if _LEAST_GAP_S < gap <= self._longest_gap_s:
            yield from self.silence(gap)
        self._heard_s += frame.samples / max(1, frame.sample_rate)

    def silence(self, duration_s: float) -> Iterator[AudioFrame]:
        """Yield so much silence."""
        self._heard_s += duration_s
        n_samples = round(duration_s * SAMPLE_RATE)
        for first in range(0, n_samples, BLOCK_SAMPLES):
            yield _silence(min(BLOCK_SAMPLES, n_samples - first))


def _silence(n_samples: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.zeros((1, n_samples), np.float32), "flt", "mono")
    frame.sample_rate = SAMPLE_RATE
    return frame
