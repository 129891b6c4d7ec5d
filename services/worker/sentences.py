"""Where speech ends for a model that knows single sentences: at pauses as for every model, and
where a stretch may hold several sentences, at the longest pause in it.

Between sentences that are read fast there is half a second nowhere; a stretch of three of them
comes out of such a model garbled. A sentence that is cut in two loses words as well, so what may
be a single one is cut only at a pause that single ones hardly ever have.
"""

from itertools import pairwise

from services.contract.schema import VadOptions
from services.worker.samples import SAMPLE_RATE, SAMPLES_PER_MS
from services.worker.vad import SpeechBounds, SpeechChunk

#: A stretch longer than this share of the model's longest window is cut at a clear pause,
LONG_SHARE = 0.2
#: which hardly anything but commas and groups of digits makes within a sentence.
CLEAR_PAUSE_MS = 200
#: Few sentences are this long: such a stretch is cut at any pause.
VERY_LONG_SHARE = 0.45
#: Shorter ones are not told from the middle of a word.
_LEAST_PAUSE_MS = 100


class SentenceBounds:
    """As SpeechBounds, with long stretches cut."""

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
            while n_before := self._n_before_cut():
                ended.append(self._cut(n_before))
        return ended

    def _n_before_cut(self) -> int:
        """Return how many parts come before the pause to cut at; 0 if there is none."""
        pauses = [after.start - part.end for part, after in pairwise(self._parts)]
        longest = max(pauses, default=0)
        length = self._parts[-1].end - self._parts[0].start
        is_clear = length > self._long and longest >= self._clear_pause
        if longest and (is_clear or length > self._very_long):
            return pauses.index(longest) + 1
        return 0

    def _cut(self, n_before: int) -> SpeechChunk:
        speech = SpeechChunk(self._parts[0].start, self._parts[n_before - 1].end)
        self._parts, self._is_rest = self._parts[n_before:], True
        return speech

    def _end(self) -> list[SpeechChunk]:
        parts, is_rest = self._parts, self._is_rest
        self._parts, self._is_rest = [], False
        if not parts:
            return []
        speech = SpeechChunk(parts[0].start, parts[-1].end)
        return [speech] if is_rest or speech.end - speech.start > self._min_speech else []
