"""Where speech may be cut for a model that knows single sentences.

Between sentences that are read fast there is half a second nowhere; a stretch of three of them
comes out of such a model garbled. A slow single sentence has pauses as long as theirs, and cut in
two it loses words as well. So a stretch ends where it does for every model, and tells where it may
be cut: what the model makes of it decides (readings.py).
"""

from itertools import pairwise

from services.contract.schema import VadOptions
from services.worker.samples import SAMPLE_RATE, SAMPLES_PER_MS
from services.worker.vad import SpeechBounds, SpeechChunk

#: A stretch longer than this share of the model's longest window may be cut at a clear pause,
LONG_SHARE = 0.2
#: which hardly anything but commas and groups of digits makes within a sentence.
CLEAR_PAUSE_MS = 200
#: Few sentences are this long: such a stretch may be cut at any pause.
VERY_LONG_SHARE = 0.45
#: Shorter ones are not told from the middle of a word.
_LEAST_PAUSE_MS = 100


class SentenceBounds:
    """As SpeechBounds, and the pauses in what it finds."""

    def __init__(self, options: VadOptions, *, max_speech_s: float) -> None:
        pause_ms = min(_LEAST_PAUSE_MS, options.min_silence_duration_ms)
        update = {"min_silence_duration_ms": pause_ms, "min_speech_duration_ms": 0}
        self._bounds = SpeechBounds(options.model_copy(update=update), max_speech_s=max_speech_s)
        self._min_speech = options.min_speech_duration_ms * SAMPLES_PER_MS
        self._min_silence = options.min_silence_duration_ms * SAMPLES_PER_MS
        self._clear_pause = CLEAR_PAUSE_MS * SAMPLES_PER_MS
        self._long = LONG_SHARE * max_speech_s * SAMPLE_RATE
        self._very_long = VERY_LONG_SHARE * max_speech_s * SAMPLE_RATE
        self._parts: list[SpeechChunk] = []
        """The stretch that has not ended: its speech between pauses of any length."""
        self._is_rest = False
        """Whether it is what a cut left over."""

    @property
    def position(self) -> int:
        """The first sample that was not looked at."""
        return self._bounds.position

    @property
    def current_start(self) -> int | None:
        """Where the speech began that has not ended yet."""
        return self._parts[0].start if self._parts else self._bounds.current_start

    def step(self, probability: float) -> list[SpeechChunk]:
        """Take the next frame's probability; return the speech that ended with it."""
        at = self.position
        ended = self._add(self._bounds.step(probability))
        is_quiet = self._parts and self._bounds.current_start is None
        if is_quiet and at - self._parts[-1].end >= self._min_silence:
            ended += self._end()
        return ended

    def finish(self, n_samples: int) -> list[SpeechChunk]:
        """Return the speech that the end of the recording cut off."""
        return self._add(self._bounds.finish(n_samples)) + self._end()

    def _add(self, parts: list[SpeechChunk]) -> list[SpeechChunk]:
        ended = []
        for part in parts:
            self._parts.append(part)
            while len(self._parts) > 1 and _length(self._parts) > self._bounds.max_speech:
                ended.append(self._cut())
        return ended

    def _cut(self) -> SpeechChunk:
        """End speech that no window holds, at its longest pause."""
        n_before = _longest_pause(self._parts)[1]
        before, self._parts = self._parts[:n_before], self._parts[n_before:]
        self._is_rest = True
        return self._stretch(before)

    def _end(self) -> list[SpeechChunk]:
        parts, is_rest = self._parts, self._is_rest
        self._parts, self._is_rest = [], False
        if not parts or not (is_rest or _length(parts) > self._min_speech):
            return []
        return [self._stretch(parts)]

    def _stretch(self, parts: list[SpeechChunk]) -> SpeechChunk:
        return SpeechChunk(parts[0].start, parts[-1].end, tuple(self._pauses(parts)))

    def _pauses(self, parts: list[SpeechChunk]) -> list[int]:
        """Return the middle of each pause that may be the end of a sentence, in samples."""
        if len(parts) < 2:
            return []
        pause, n_before = _longest_pause(parts)
        length = _length(parts)
        is_clear = length > self._long and pause >= self._clear_pause
        if not (is_clear or length > self._very_long):
            return []
        before, after = parts[:n_before], parts[n_before:]
        middle = (before[-1].end + after[0].start) // 2
        return [*self._pauses(before), middle, *self._pauses(after)]


def _length(parts: list[SpeechChunk]) -> int:
    return parts[-1].end - parts[0].start


def _longest_pause(parts: list[SpeechChunk]) -> tuple[int, int]:
    """Return the length of the longest pause, and how many parts come before it."""
    pauses = [after.start - part.end for part, after in pairwise(parts)]
    longest = max(pauses)
    return longest, pauses.index(longest) + 1
