"""Our log-mel is that of faster-whisper and transformers."""

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from transformers import WhisperFeatureExtractor

from training.train.features import FULL_FRAMES, log_mel

SAMPLES = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_frames_equal_transformers(n_mels: int) -> None:
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    padded = extractor(SAMPLES, sampling_rate=16_000, return_tensors="np").input_features[0]
    ours = log_mel(np.pad(SAMPLES, (0, FULL_FRAMES * 160 - len(SAMPLES))), n_mels)
    assert ours.shape == (n_mels, FULL_FRAMES)
    np.testing.assert_allclose(ours, padded, atol=1e-4)


def test_frames_of_a_short_clip_equal_faster_whisper() -> None:
    theirs = FeatureExtractor(feature_size=80)(SAMPLES)
    ours = log_mel(SAMPLES, 80)
    assert ours.shape == (80, 300)
    # The last frames see what follows the clip, which is a reflection here and silence there.
    np.testing.assert_allclose(ours[:, :298], theirs[:, :298], atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 401])
def test_very_short_samples_have_whole_frames(n_samples: int) -> None:
    assert log_mel(SAMPLES[:n_samples], 80).shape == (80, n_samples // 160)
