"""A loaded model: CTranslate2's Whisper with its tokenizer and features, and what faster-whisper
can do with them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from services.contract.encoder_context import context_frames
from services.contract.model_bundle import ModelBundle
from services.contract.schema import Task
from services.worker.samples import Samples

MAX_TOKENS = 448
FloatArray = NDArray[np.floating[Any]]


@dataclass(eq=False)
class Model:
    """One bundle in memory. Thread-safe: CTranslate2 runs `n_parallel` calls at a time."""

    bundle: ModelBundle
    whisper: ctranslate2.models.Whisper
    hf_tokenizer: tokenizers.Tokenizer
    feature_extractor: FeatureExtractor
    device: str
    compute_type: str
    short_context: bool
    n_parallel: int = 1
    loop: "SequentialModel" = field(init=False)

    def __post_init__(self) -> None:
        # Not of a bound method: a model that refers to itself stays in memory after its last use.
        self.tokenizer = lru_cache(partial(_tokenizer, self.hf_tokenizer, self.is_multilingual))
        self.loop = SequentialModel(self)

    @cached_property
    def is_multilingual(self) -> bool:
        """Whether the vocabulary has language tokens."""
        return bool(self.whisper.is_multilingual)

    @cached_property
    def can_align(self) -> bool:
        """Whether it says which attention heads tell when a word is spoken: very old conversions
        do not.
        """
        config = json.loads((self.bundle.path / "config.json").read_text(encoding="utf-8"))
        return bool(config.get("alignment_heads"))

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that it serves: the bundle's, else all in its vocabulary."""
        if not self.is_multilingual:
            return ("en",)
        known = tuple(self.loop.supported_languages)
        chosen = self.bundle.languages or known
        return tuple(code for code in chosen if self.hf_tokenizer.token_to_id(f"<|{code}|>"))

    @cached_property
    def suppressed_tokens(self) -> list[int]:
        """Tokens that are never text: symbols for noises, and all control tokens."""
        tokenizer = self.tokenizer(self.languages[0])
        found = get_suppressed_tokens(tokenizer, [-1]) or ()
        return [token for token in found if token is not None]

    def context_of(self, n_frames: int) -> int:
        """Return the frames that the encoder gets for a window of `n_frames`."""
        return context_frames(n_frames, short_context=self.short_context)

    def log_mel(self, samples: Samples) -> NDArray[np.float32]:
        """Turn one window into the encoder's input.

        Args:
            samples: mono at 16 kHz in [-1, 1], shape (n_samples,), at most 30 s.
        Returns:
            log-mel, shape (n_mels, context): one column per 10 ms, zeros after the last.
        Source: faster_whisper/transcribe.py, which pads the features and not the samples.
        """
        features = self.feature_extractor(samples)[..., :-1]
        n_frames = features.shape[-1]
        padded = np.zeros((features.shape[0], self.context_of(n_frames)), np.float32)
        padded[:, :n_frames] = features[:, : padded.shape[1]]
        return padded

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """Run the encoder on log-mels of one length, shape (n, n_mels, context).

        A GPU takes them at once. On a processor the activations of several windows outgrow the
        caches: one by one, 10 s windows of a base-size model take little more than half the time
        (benchmarks/encoder.py).
        """
        if self.device != "cpu":
            return self.whisper.encode(ctranslate2.StorageView.from_array(features))
        windows = (ctranslate2.StorageView.from_array(window[np.newaxis]) for window in features)
        encoded = [np.array(self.whisper.encode(window)) for window in windows]
        return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def close(self) -> None:
        """Give the memory of the weights back."""
        self.whisper.unload_model()


def _tokenizer(
    plain: tokenizers.Tokenizer, is_multilingual: bool, language: str, task: Task = "transcribe"
) -> Tokenizer:
    """Return faster-whisper's tokenizer for a language and task."""
    return Tokenizer(plain, is_multilingual, task=task, language=language)


def rows_of(encoded: ctranslate2.StorageView, rows: Sequence[int]) -> FloatArray:
    """Copy some windows' encoder outputs to the host, shape (len(rows), context / 2, d_model)."""
    on_host = encoded.to_device(ctranslate2.Device.cpu)
    if on_host.dtype == ctranslate2.DataType.bfloat16:  # which numpy has not
        on_host = on_host.to(ctranslate2.DataType.float32)
    return np.ascontiguousarray(np.array(on_host)[list(rows)])


class SequentialModel(WhisperModel):  # type: ignore[misc]
    """faster-whisper's own model and loop, over weights that are loaded already.

    The parent's constructor would load them a second time, so its attributes are set here.
    Source: faster_whisper/transcribe.py, WhisperModel.__init__ (1.2).
    """

    def __init__(self, model: Model) -> None:
        from faster_whisper.utils import get_logger

        self.logger = get_logger()
        self.model = model.whisper
        self.hf_tokenizer = model.hf_tokenizer
        self.feature_extractor = model.feature_extractor
        self.input_stride = 2
        self.num_samples_per_token = self.feature_extractor.hop_length * self.input_stride
        rate = self.feature_extractor.sampling_rate
        self.frames_per_second = rate // self.feature_extractor.hop_length
        self.tokens_per_second = rate // self.num_samples_per_token
        self.time_precision = 0.02
        self.max_length = MAX_TOKENS
