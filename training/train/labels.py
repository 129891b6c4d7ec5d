"""From the text of a window to the decoder's input and targets.

The sequence is Whisper's: [<|startofprev|> prompt] <|startoftranscript|> <|sv|> <|transcribe|>
(<|notimestamps|> text | <|0.00|> text<|1.80|> ...) <|endoftext|>. The loss covers everything after
<|startoftranscript|>, so a model from scratch learns language and task tokens too; the prompt carries no loss.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
from transformers import WhisperTokenizer

from services.contract.errors import TokenizerError
from training.train.config import LabelConfig
from training.train.segmentation import Segmenter

IGNORE_INDEX = -100
MAX_TOKENS = 448
MAX_PROMPT_TOKENS = MAX_TOKENS // 2 - 1
TIMESTAMP_STEP_S = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class SpokenText:
    """What is said in a part of a window: the text of a segment, with its bounds in seconds from the window's start."""

    text: str
    start: float
    end: float


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The decoder's input ids and labels, of equal length; labels are IGNORE_INDEX where no loss is wanted."""

    input_ids: list[int]
    labels: list[int]


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
        ids = [tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names]
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
        special = self.special
        with_timestamps = generator.random() < self._config.timestamps_share
        said = self._timed(parts, generator) if with_timestamps else [special.no_timestamps]
        if not with_timestamps:
            said += self._text(" ".join(part.text for part in parts), generator)
        sequence = [special.start, special.language, special.task, *said, special.end]
        return self._with_prompt(sequence, prompt, generator)

    def write_no_speech(self, generator: np.random.Generator) -> Target:
        """Write the target of a window without speech.

        At `<|startoftranscript|>` the target is `<|nospeech|>`, which gives no_speech_prob its meaning; behind the
        forced language and task it is the end.
        """
        special = self.special
        with_timestamps = generator.random() < self._config.timestamps_share
        opening = special.first_timestamp if with_timestamps else special.no_timestamps
        return Target(
            [special.start, special.language, special.task, opening],
            [special.no_speech, IGNORE_INDEX, opening, special.end],
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special tokens."""
        text = [id_ for id_ in ids if id_ < self.special.end]
        return str(self._tokenizer.decode(text)).strip()

    def n_tokens(self, text: str) -> int:
        """Count the label tokens of a text, without dropout."""
        mode = "short" if self._config.segmentation == "short" else "full"
        return len(self._segmenter.encode(_spaced(text), mode, np.random.default_rng(0)))

    def text_ids(self, text: str) -> tuple[list[int], list[int]]:
        """Return a text's ids as a label and as a prompt, without dropout."""
        generator = np.random.default_rng(0)
        mode = "short" if self._config.segmentation == "short" else "full"
        spaced = _spaced(text)
        return self._segmenter.encode(spaced, mode, generator), self._segmenter.encode(
            spaced, "full", generator
        )

    def _timed(self, parts: Sequence[SpokenText], generator: np.random.Generator) -> list[int]:
        timed: list[int] = []
        for part in parts:
            timed.append(self.special.timestamp(part.start))
            timed += self._text(part.text, generator)
            timed.append(self.special.timestamp(part.end))
        return timed

    def _text(self, text: str, generator: np.random.Generator) -> list[int]:
        return self._segmenter.encode(_spaced(text), self._config.segmentation, generator)

    def _with_prompt(
        self, sequence: list[int], prompt: str | None, generator: np.random.Generator
    ) -> Target:
        inputs, labels = sequence[:-1], sequence[1:]
        if prompt:
            room = min(MAX_PROMPT_TOKENS, MAX_TOKENS - len(inputs) - 1)
            before = (
                self._segmenter.encode(_spaced(prompt), "full", generator)[-room:]
                if room > 0
                else []
            )
            inputs = [self.special.previous, *before, *inputs]
            labels = [IGNORE_INDEX] * (len(before) + 1) + labels
        return Target(inputs[:MAX_TOKENS], labels[:MAX_TOKENS])


def _spaced(text: str) -> str:
    """Put Whisper's leading space before a text."""
    return " " + text.strip()
