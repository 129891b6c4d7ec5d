"""Changes to the sound of a sample. All randomness comes from the generator of the sample."""

import numpy as np
from numpy.typing import NDArray

from training.train.config import AugmentConfig
from training.train.features import SAMPLE_RATE

Samples = NDArray[np.float32]


def change_speed(samples: Samples, factor: float) -> Samples:
    """Resample by linear interpolation: `factor` 1.1 makes it 10 % shorter and higher.

    Args:
        samples: mono audio, shape (n_samples,).
    Returns:
        shape (round(n_samples / factor),).
    """
    n_samples = max(1, round(len(samples) / factor))
    positions = np.linspace(0, len(samples) - 1, n_samples, dtype=np.float32)
    return np.interp(positions, np.arange(len(samples), dtype=np.float32), samples).astype(
        np.float32
    )


def draw_speed(config: AugmentConfig, generator: np.random.Generator) -> float:
    """Draw a sample's speed, 1.0 for the share that keeps its own."""
    factor = float(generator.uniform(0.9, 1.1))
    return factor if generator.random() < config.speed_share else 1.0


def draw_lead_s(config: AugmentConfig, generator: np.random.Generator) -> float:
    """Draw how many seconds of near silence precede the speech."""
    lead_s = float(generator.uniform(0.0, 0.6))
    return lead_s if generator.random() < config.lead_share else 0.0


def change_level(
    samples: Samples, config: AugmentConfig, generator: np.random.Generator
) -> Samples:
    """Apply gain and noise to a whole window, each on its share of the samples."""
    if generator.random() < config.noise_share:
        level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-float(generator.uniform(10, 40)) / 20)
        samples = samples + level * noise(len(samples), generator)
    if generator.random() < config.gain_share:
        samples = samples * np.float32(10 ** (float(generator.uniform(-12, 6)) / 20))
    return _limited(samples)


def noise(n_samples: int, generator: np.random.Generator) -> Samples:
    """Make white or brown noise with a mean square of 1, shape (n_samples,)."""
    white = generator.standard_normal(n_samples, dtype=np.float32)
    if generator.random() < 0.5:
        return white
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.arange(1, len(spectrum) + 1))
    brown = np.fft.irfft(spectrum, n_samples).astype(np.float32)
    scale = np.float32(1 / (np.std(brown) + 1e-9))
    return brown * scale


def no_speech(generator: np.random.Generator) -> Samples:
    """Make 0.5 to 5 s without speech: digital silence, or noise at -70 to -20 dBFS."""
    n_samples = int(generator.uniform(0.5, 5.0) * SAMPLE_RATE)
    if generator.random() < 0.3:
        return np.zeros(n_samples, dtype=np.float32)
    level = np.float32(10 ** (float(generator.uniform(-70, -20)) / 20))
    return _limited(level * noise(n_samples, generator))


def mask_spectrum(
    mel: NDArray[np.float32], config: AugmentConfig, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Mask up to two bands of time and two of frequency with the mean of the sample.

    Args:
        mel: log-mel of the real length, shape (n_mels, n_frames); a masked copy is returned.
    Source: Park et al. 2019, SpecAugment; widths chosen for speech of a few seconds.
    """
    if generator.random() >= config.spec_share:
        return mel
    masked, fill = mel.copy(), mel.mean()
    n_mels, n_frames = mel.shape
    for _ in range(generator.integers(0, 3)):
        width = int(generator.integers(1, max(2, min(25, n_frames // 10))))
        start = int(generator.integers(0, max(1, n_frames - width)))
        masked[:, start : start + width] = fill
    for _ in range(generator.integers(0, 3)):
        width = int(generator.integers(1, n_mels // 6))
        start = int(generator.integers(0, n_mels - width))
        masked[start : start + width] = fill
    return masked


def _limited(samples: Samples) -> Samples:
    limited: Samples = np.clip(samples, -1.0, 1.0, dtype=np.float32)
    return limited
