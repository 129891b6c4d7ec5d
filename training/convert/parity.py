"""Proof that a converted model computes what its checkpoint computes.

The float32 conversion is compared with transformers number by number: features, encoder output, the
scores of greedy tokens. What is shipped may be quantized, so it is compared with that by word error
rate.
"""

from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from services.contract.errors import ModelBundleError
from training.convert.bundle_checks import load_engine
from training.convert.checkpoint import read_json
from training.prepare.shards import SAMPLE_RATE

_N_FRAMES = 3000
_MAX_NEW_TOKENS = 128
# Limits leave room for float32 rounding: differences of 6e-6 (encoder) and 2e-5 (features) are
# usual.
_MAX_FEATURE_DIFFERENCE = 1e-3
_MAX_ENCODER_DIFFERENCE = 1e-3
_MAX_SCORE_DIFFERENCE = 1e-3


def check_parity(
    checkpoint: Path, float32_dir: Path, recordings: Sequence[NDArray[np.float32]], language: str
) -> None:
    """Compare a float32 conversion with its checkpoint on some recordings.

    Args:
        checkpoint: transformers folder.
        float32_dir: the same model converted without quantization.
        recordings: mono audio at 16 kHz, each at most 30 s.
        language: code to decode with.
    Raises:
        ModelBundleError: says which check failed and by how much.
    """
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoint)
    reference = WhisperForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    reference.train(False)
    converted = load_engine(float32_dir, compute_type="float32")
    prompt = _prompt(checkpoint, language)
    n_best = n_tokens = 0
    for samples in recordings:
        features = extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features
        _check_features(samples, features[0])
        _check_encoder(reference, converted, features)
        best = _are_best(reference, converted, features, prompt)
        n_best += int(best.sum())
        n_tokens += len(best)
    if n_best < n_tokens:
        raise ModelBundleError(
            f"tokens: only {n_best} of {n_tokens} greedy tokens are the best ones of transformers"
        )


def synthetic_recordings() -> list[NDArray[np.float32]]:
    """Three seeded noises of different length, for a checkpoint without a corpus."""
    random = np.random.default_rng(0)
    return [
        random.normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)
        for seconds in (1.0, 4.0, 20.0)
    ]


def _prompt(checkpoint: Path, language: str) -> list[int]:
    generation = read_json(checkpoint / "generation_config.json")
    return [
        generation["decoder_start_token_id"],
        generation["lang_to_id"][f"<|{language}|>"],
        generation["task_to_id"]["transcribe"],
        generation["no_timestamps_token_id"],
    ]


def _check_features(samples: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Compare the server's log-mel with training's where there is sound; their padding differs."""
    found = FeatureExtractor(feature_size=expected.shape[0])(samples)
    # The last frames see the padding through the window of the transform.
    n_frames = len(samples) // 160 - 2
    difference = float(np.abs(found[:, :n_frames] - expected[:, :n_frames]).max())
    if difference > _MAX_FEATURE_DIFFERENCE:
        raise ModelBundleError(f"features: log-mel differs by {difference:.1e} between libraries")


def _check_encoder(
    reference: WhisperForConditionalGeneration,
    converted: ctranslate2.models.Whisper,
    features: NDArray[np.float32],
) -> None:
    with torch.inference_mode():
        expected = reference.model.encoder(torch.from_numpy(features)).last_hidden_state.numpy()
    found = np.asarray(converted.encode(ctranslate2.StorageView.from_array(features)))
    difference = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    if not difference <= _MAX_ENCODER_DIFFERENCE:
        raise ModelBundleError(
            f"encoder: output differs from transformers by {difference:.1e} of its range, the "
            f"limit is {_MAX_ENCODER_DIFFERENCE:.0e}"
        )


def _are_best(
    reference: WhisperForConditionalGeneration,
    converted: ctranslate2.models.Whisper,
    features: NDArray[np.float32],
    prompt: list[int],
) -> NDArray[np.bool_]:
    """Tell of each token that the converted model chose whether the reference scores it best.

    Scores and not tokens are compared, because equal scores are no difference: a model that was
    trained with a compact vocabulary gives all unused tokens the same.

    Returns:
        shape (n_tokens,), the end of the text included where it was reached.
    """
    generation = reference.generation_config
    result = converted.generate(
        ctranslate2.StorageView.from_array(features),
        [prompt],
        beam_size=1,
        # CTranslate2 gives at most half of max_length to new tokens.
        max_length=2 * _MAX_NEW_TOKENS,
        suppress_blank=True,
        suppress_tokens=[-1],
    )[0]
    end = int(generation.eos_token_id)
    spoken = [token for token in result.sequences_ids[0] if token != end]
    chosen = [*spoken, end] if len(spoken) < _MAX_NEW_TOKENS - 1 else spoken
    with torch.no_grad():
        scores = reference(
            torch.from_numpy(features), decoder_input_ids=torch.tensor([[*prompt, *spoken]])
        ).logits[0, len(prompt) - 1 :][: len(chosen)]
    scores[:, generation.suppress_tokens] = -torch.inf
    scores[0, generation.begin_suppress_tokens] = -torch.inf
    best = scores.max(dim=1).values
    missed = best - scores[torch.arange(len(chosen)), torch.tensor(chosen)]
    near: NDArray[np.bool_] = (missed <= _MAX_SCORE_DIFFERENCE * best.abs().clamp(min=1)).numpy()
    return near
