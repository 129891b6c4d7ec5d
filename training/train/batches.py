"""From planned batches to tensors: the data set that the trainer reads, one item per batch."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from services.contract.encoder_context import context_frames
from training.prepare.shards import Clip, PreparedCorpus
from training.train import augment
from training.train.config import LabelConfig, TrainConfig
from training.train.features import FULL_FRAMES, HOP_SAMPLES, log_mel
from training.train.labels import IGNORE_INDEX, NO_TIME, LabelWriter, Target
from training.train.plan import Batch, Draw
from training.train.spoken_times import SpokenTimes
from training.train.vocabulary import Vocabulary
from training.train.windows import (
    Window,
    build_window,
    first_of_window,
    sample_generator,
    text_before,
)

_MEL_ZERO_SHARE = (
    0.7  # faster-whisper and openai/whisper pad with mel zeros; the rest pads with silent audio
)


@dataclasses.dataclass(frozen=True)
class Speech:
    """What the data set is made of: a corpus and how to write it down for the model."""

    corpus: PreparedCorpus
    clips: list[Clip]
    writer: LabelWriter
    vocabulary: Vocabulary
    alphabet: str
    n_mels: int
    times: dict[str, SpokenTimes]


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    window: Window
    target: Target
    generator: np.random.Generator


class BatchDataset(Dataset[dict[str, Tensor]]):
    """Map-style and pure: item i is the same tensors in any process, after any restart."""

    def __init__(self, speech: Speech, plan: list[Batch], config: TrainConfig, seed: int) -> None:
        self._speech = speech
        self._plan = plan
        self._config = config
        self._seed = seed

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Build a batch.

        Returns:
            input_features float32 (n, n_mels, n_frames); decoder_input_ids and labels int64 (n,
            n_tokens) in rows of the vocabulary; ctc_targets int64 (sum of lengths,), ctc_lengths
            and n_frames int64 (n,).
        """
        batch = self._plan[index]
        make = self._long_form_sample if batch.long_form else self._sample
        samples = [make(draws) for draws in batch.windows]
        n_frames = self._context(samples, batch)
        features = [self._features(sample, n_frames) for sample in samples]
        return {
            "input_features": torch.from_numpy(np.stack(features)),
            **self._decoder_tensors([sample.target for sample in samples]),
            **self._ctc_tensors([sample.window for sample in samples]),
        }

    def _sample(self, draws: tuple[Draw, ...]) -> _Sample:
        clips = [self._speech.clips[draw.clip] for draw in draws]
        generator = sample_generator(self._seed, clips, draws)
        labels = self._config.labels
        if generator.random() < labels.no_speech_share:
            silence = Window(augment.no_speech(generator), ())
            return _Sample(silence, self._speech.writer.write_no_speech(generator), generator)
        window = build_window(
            self._speech.corpus, clips, self._speech.times, self._config.augment, generator
        )
        prompt = self._prompt(window, labels, generator)
        return _Sample(
            window, self._speech.writer.write(window.parts, prompt, generator), generator
        )

    def _long_form_sample(self, draws: tuple[Draw, ...]) -> _Sample:
        """Make a window of the last clips, and a prompt of those before them."""
        speech = self._speech
        clips = [speech.clips[draw.clip] for draw in draws]
        generator = sample_generator(self._seed, clips, draws)
        first = first_of_window([clip.duration_s for clip in clips])
        window = build_window(
            speech.corpus, clips[first:], speech.times, self._config.augment, generator, cut=True
        )
        before = text_before(clips[:first], speech.times)
        target = speech.writer.write_long_form(window.parts, before, generator)
        return _Sample(window, target, generator)

    def _prompt(
        self, window: Window, config: LabelConfig, generator: np.random.Generator
    ) -> str | None:
        """Draw what stands before the transcript: other speech, or words of it as hotwords."""
        if generator.random() >= config.prompt_share:
            return None
        others = [
            self._speech.clips[int(index)].text
            for index in generator.integers(len(self._speech.clips), size=2)
        ]
        if generator.random() < 0.5:
            return " ".join(others[: int(generator.integers(1, 3))])
        own = " ".join(part.text for part in window.parts).strip(".?!").split()
        chosen = (
            [own[int(index)] for index in generator.integers(len(own), size=min(3, len(own)))]
            if own
            else []
        )
        words = [*chosen, *others[0].strip(".?!").split()[:3]]
        generator.shuffle(words)
        return ", ".join(words)

    def _context(self, samples: list[_Sample], batch: Batch) -> int:
        """Choose an even number of frames: the longest window and 0.16 to 0.8 s more."""
        if batch.full_context:
            return FULL_FRAMES
        longest = max(len(sample.window.samples) // HOP_SAMPLES for sample in samples)
        if batch.served_context:
            return context_frames(longest, short_context=True)
        margin = 16 + int(np.random.default_rng([self._seed, 4, batch.index]).integers(0, 65))
        n_frames = min(FULL_FRAMES, longest + margin)
        # CTranslate2 takes an encoder output of n_mels positions for features: no one may meet that
        # length.
        n_frames += 2 if n_frames // 2 == self._speech.n_mels else 0
        return n_frames - n_frames % 2

    def _features(self, sample: _Sample, n_frames: int) -> NDArray[np.float32]:
        """Compute the mel of one window, padded with mel zeros or as silent audio."""
        samples = sample.window.samples[: n_frames * HOP_SAMPLES]
        n_real = max(1, len(samples) // HOP_SAMPLES)
        if sample.generator.random() >= _MEL_ZERO_SHARE:
            samples = np.pad(samples, (0, n_frames * HOP_SAMPLES - len(samples)))
        mel = log_mel(samples, self._speech.n_mels)
        masked = augment.mask_spectrum(mel[:, :n_real], self._config.augment, sample.generator)
        mel = np.concatenate([masked, mel[:, n_real:]], axis=1)
        return np.pad(mel, ((0, 0), (0, n_frames - mel.shape[1])))

    def _decoder_tensors(self, targets: list[Target]) -> dict[str, Tensor]:
        width = max(len(target.labels) for target in targets)
        end = self._speech.writer.special.end
        inputs = np.full((len(targets), width), end, dtype=np.int64)
        labels = np.full((len(targets), width), end, dtype=np.int64)
        wanted = np.zeros((len(targets), width), dtype=bool)
        times = np.full((len(targets), width), NO_TIME, dtype=np.float32)
        for row, target in enumerate(targets):
            n_tokens = len(target.labels)
            inputs[row, :n_tokens] = target.input_ids
            times[row, :n_tokens] = target.times
            wanted[row, :n_tokens] = np.asarray(target.labels) != IGNORE_INDEX
            labels[row, :n_tokens] = np.where(wanted[row, :n_tokens], target.labels, end)
        rows = self._speech.vocabulary.rows
        return {
            "decoder_input_ids": torch.from_numpy(rows[inputs]),
            "labels": torch.from_numpy(np.where(wanted, rows[labels], IGNORE_INDEX)),
            "times": torch.from_numpy(times),
        }

    def _ctc_tensors(self, windows: list[Window]) -> dict[str, Tensor]:
        alphabet = {character: index + 1 for index, character in enumerate(self._speech.alphabet)}
        spelled = [
            [
                alphabet[c]
                for c in " ".join(part.text for part in window.parts).lower()
                if c in alphabet
            ]
            for window in windows
        ]
        return {
            "ctc_targets": torch.tensor(
                [index for letters in spelled for index in letters], dtype=torch.int64
            ),
            "ctc_lengths": torch.tensor([len(letters) for letters in spelled], dtype=torch.int64),
            "n_frames": torch.tensor([len(window.samples) // HOP_SAMPLES for window in windows]),
        }


def only_item(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Unwrap the loader's list: an item of the data set is a whole batch already."""
    return items[0]
