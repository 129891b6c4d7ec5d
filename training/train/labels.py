"""From the text of a window to the decoder's input and targets.

The sequence is Whisper's: [<|startofprev|> prompt] <|startoftranscript|> <|sv|> <|transcribe|>
(<|notimestamps|> text | <|0.00|> text<|1.80|> ...) <|endoftext|>. The loss covers everything after
<|startoftranscript|>, so a model from scratch learns language and task tokens too; the prompt
carries no loss.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from transformers import WhisperTokenizer

from services.contract.errors import TokenizerError
from training.train.config import LabelConfig, Segmentation
from training.train.segmentation import Segmenter

IGNORE_INDEX = -100
MAX_TOKENS = 448
MAX_PROMPT_TOKENS = MAX_TOKENS // 2 - 1
TIMESTAMP_STEP_S = 0.02
NO_TIME = -1.0

Timed = list[tuple[int, float]]
"""Tokens, each with the time at which it is spoken."""


@dataclasses.dataclass(frozen=True, slots=True)
class SpokenText:
    """A segment: what is said, with its bounds in seconds from the start of the window."""

    text: str
    start: float
    end: float | None
    """None for a last segment that goes on after the window."""
    word_starts: tuple[float, ...] = ()
    """Where each word of the text starts, empty if that is not known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The decoder's input ids, labels and times, of equal length."""

    input_ids: list[int]
    labels: list[int]
    """IGNORE_INDEX where no loss is wanted."""
    times: list[float]
    """About when each label is spoken, in seconds; NO_TIME for those that are not."""


@dataclasses.dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of Whisper's special tokens."""

    end: int
    start: int
    language: int
    task: int
    previous: int
    no_speech: int
    no_timestamps: int

    @property
    def first_timestamp(self) -> int:
        return self.no_timestamps + 1

    @classmethod
    def of(cls, tokenizer: WhisperTokenizer, language: str, task: str) -> Self:
        """Look the ids up.

        Raises:
            TokenizerError: the tokenizer has no token for the language.
        """
        names = (
            "endoftext",
            "startoftranscript",
            language,
            task,
            "startofprev",
            "nospeech",
            "notimestamps",
        )
        ids: list[Any] = [tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names]
        if ids[5] in (None, ids[0]):  # checkpoints of 2022 call it so
            ids[5] = tokenizer.convert_tokens_to_ids("<|nocaptions|>")
        for name, id_ in zip(names[1:], ids[1:], strict=True):
            if id_ is None or id_ == ids[0]:
                raise TokenizerError(
                    f"the tokenizer has no token <|{name}|>; choose a language that Whisper knows"
                )
        return cls(*ids)

    def timestamp(self, seconds: float) -> int:
        """Return the token of a time, rounded to 0.02 s."""
        return self.first_timestamp + round(min(max(seconds, 0.0), 30.0) / TIMESTAMP_STEP_S)


class LabelWriter:
    """Writes targets; its draws come from the generator of the sample."""

    def __init__(
        self, tokenizer: WhisperTokenizer, special: SpecialTokens, config: LabelConfig
    ) -> None:
        self.special = special
        self._tokenizer = tokenizer
        self._config = config
        self._segmenter = Segmenter(tokenizer, config.segmentation_dropout)

    def write(
        self, parts: Sequence[SpokenText], prompt: str | None, generator: np.random.Generator
    ) -> Target:
        """Write the target of a window with speech.

        Args:
            parts: what is said, in order.
            prompt: text to set before `<|startoftranscript|>`, tokenised as faster-whisper does.
        Returns:
            a target of at most 448 tokens: the prompt is cut at its start, as when decoding.
        """
        with_timestamps = generator.random() < self._config.timestamps_share
        before = self._segmenter.encode(_spaced(prompt), "full", generator) if prompt else []
        return self._target(parts, before, with_timestamps, generator)

    def write_long_form(
        self,
        parts: Sequence[SpokenText],
        before: Sequence[SpokenText],
        generator: np.random.Generator,
    ) -> Target:
        """Write the target of a window from the middle of a long recording.

        Args:
            parts: what is said, in order, with timestamps; of a last one without end only the start
                is written, which tells a decoder to begin its next window there.
            before: what the window before it said; its tokens are the prompt, as in
                faster-whisper's loop.
        Source: Radford et al. 2022, section 2.3.
        """
        prompt = [id_ for part in before for id_, _ in self._part(part, True, generator)]
        return self._target(parts, prompt, True, generator)

    def write_no_speech(self, generator: np.random.Generator) -> Target:
        """Write the target of a window without speech.

        At `<|startoftranscript|>` the target is `<|nospeech|>`, which gives no_speech_prob its
        meaning; behind the forced language and task it is the end.
        """
        special = self.special
        with_timestamps = generator.random() < self._config.timestamps_share
        opening = special.first_timestamp if with_timestamps else special.no_timestamps
        return Target(
            [special.start, special.language, special.task, opening],
            [special.no_speech, IGNORE_INDEX, opening, special.end],
            [NO_TIME] * 4,
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special tokens."""
        text = [id_ for id_ in ids if id_ < self.special.end]
        return str(self._tokenizer.decode(text)).strip()

    def n_tokens(self, text: str) -> int:
        """Count the label tokens of a text, without dropout."""
        mode: Segmentation = "short" if self._config.segmentation == "short" else "full"
        return len(self._segmenter.encode(_spaced(text), mode, np.random.default_rng(0)))

    def text_ids(self, text: str) -> tuple[list[int], list[int]]:
        """Return a text's ids as a label and as a prompt, without dropout."""
        generator = np.random.default_rng(0)
        mode: Segmentation = "short" if self._config.segmentation == "short" else "full"
        spaced = _spaced(text)
        return self._segmenter.encode(spaced, mode, generator), self._segmenter.encode(
            spaced, "full", generator
        )

    def _target(
        self,
        parts: Sequence[SpokenText],
        prompt: list[int],
        with_timestamps: bool,
        generator: np.random.Generator,
    ) -> Target:
        special = self.special
        said: Timed = [] if with_timestamps else [(special.no_timestamps, NO_TIME)]
        for part in parts:
            said += self._part(part, with_timestamps, generator)
        opening = [(id_, NO_TIME) for id_ in (special.start, special.language, special.task)]
        return self._with_prompt([*opening, *said, (special.end, NO_TIME)], prompt)

    def _part(
        self, part: SpokenText, with_timestamps: bool, generator: np.random.Generator
    ) -> Timed:
        """Spell one part, tokens evenly between the bounds of their word, or of the part."""
        if part.end is None:
            return [(self.special.timestamp(part.start), part.start)]
        timed: Timed = []
        for text, start, end in _spans(part, part.end):
            ids = self._segmenter.encode(_spaced(text), self._config.segmentation, generator)
            step = (end - start) / max(1, len(ids))
            timed += [(id_, start + (index + 0.5) * step) for index, id_ in enumerate(ids)]
        if not with_timestamps:
            return timed
        opening = (self.special.timestamp(part.start), part.start)
        return [opening, *timed, (self.special.timestamp(part.end), part.end)]

    def _with_prompt(self, sequence: Timed, prompt: list[int]) -> Target:
        inputs = [id_ for id_, _ in sequence[:-1]]
        labels = [id_ for id_, _ in sequence[1:]]
        times = [time for _, time in sequence[1:]]
        room = min(MAX_PROMPT_TOKENS, MAX_TOKENS - len(inputs) - 1)
        if prompt and room > 0:
            before = prompt[-room:]
            inputs = [self.special.previous, *before, *inputs]
            labels = [IGNORE_INDEX] * (len(before) + 1) + labels
            times = [NO_TIME] * (len(before) + 1) + times
        return Target(inputs[:MAX_TOKENS], labels[:MAX_TOKENS], times[:MAX_TOKENS])


def _spans(part: SpokenText, end: float) -> list[tuple[str, float, float]]:
    """Split a part into pieces of text with their bounds: words where their times are known."""
    words = part.text.split()
    if not words or len(part.word_starts) != len(words):
        return [(part.text, part.start, end)]
    return list(zip(words, part.word_starts, (*part.word_starts[1:], end), strict=True))


def _spaced(text: str) -> str:
    """Put Whisper's leading space before a text."""
    return " " + text.strip()
