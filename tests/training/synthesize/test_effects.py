import numpy as np
import pytest
from numpy.typing import NDArray

from training.synthesize import effects
from training.synthesize.config import EffectsConfig

SECONDS = np.arange(32_000) / effects.SAMPLE_RATE
TONE = (0.3 * np.sin(2 * np.pi * 440 * SECONDS)).astype(np.float32)


def level_db(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_noise_is_weaker_than_the_speech(rng: np.random.Generator) -> None:
    for _ in range(20):
        added = effects.add_noise(TONE, rng) - TONE
        assert 7 < level_db(TONE) - level_db(added) < 36


def test_noise_has_power_one(rng: np.random.Generator) -> None:
    assert effects.noise(16_001, rng).shape == (16_001,)
    assert float(np.var(effects.noise(16_000, rng))) == pytest.approx(1, rel=0.01)


def test_reverberation_rings_on(rng: np.random.Generator) -> None:
    click = np.zeros(16_000, np.float32)
    click[100] = 1
    wet = effects.reverberate(click, rng)
    assert wet[100] == pytest.approx(1, abs=1e-4)
    assert np.abs(wet[:99]).max() < 1e-5
    assert np.abs(wet[200:1000]).max() > 1e-3


def test_band_limit_takes_the_bass_away() -> None:
    bass = np.sin(2 * np.pi * 100 * SECONDS).astype(np.float32)
    assert level_db(effects.band_limit(bass, 300, 3400)) < -40
    assert level_db(effects.band_limit(TONE, 300, 3400)) == pytest.approx(level_db(TONE), abs=0.1)


def test_peak_is_set() -> None:
    assert np.abs(effects.set_peak(TONE, -6)).max() == pytest.approx(0.501, abs=0.001)
    assert not effects.set_peak(np.zeros(10, np.float32), -6).any()


def test_codecs_change_little_and_keep_the_length() -> None:
    coded = [effects.through_codec(TONE, np.random.default_rng(seed)) for seed in range(12)]
    assert {len(samples) for samples in coded} == {len(TONE)}
    assert len({round(level_db(samples), 3) for samples in coded}) >= 3
    assert all(abs(level_db(samples) - level_db(TONE)) < 1.5 for samples in coded)
    assert all(np.abs(samples - TONE).max() > 1e-4 for samples in coded)


def test_no_chance_no_change(rng: np.random.Generator) -> None:
    never = EffectsConfig(noise=0, reverb=0, telephone=0, codec=0, gain=0)
    assert effects.apply(TONE, never, rng) is TONE


def test_all_effects_together_keep_length_and_type(rng: np.random.Generator) -> None:
    always = EffectsConfig(noise=1, reverb=1, telephone=1, codec=1, gain=1)
    changed = effects.apply(TONE, always, rng)
    assert changed.shape == TONE.shape and changed.dtype == np.float32
