"""From samples to what the encoder reads: the numbers of faster-whisper and transformers."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank

SAMPLE_RATE = 16_000
HOP_SAMPLES = 160  # 10 ms
N_FFT = 400  # 25 ms
FULL_FRAMES = 3000  # 30 s
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES  # 100


def log_mel(samples: NDArray[np.float32], n_mels: int) -> NDArray[np.float32]:
    """Turn samples of any length into log-mel frames, without padding to 30 s.

    Args:
        samples: mono audio at 16 kHz in [-1, 1], shape (n_samples,), n_samples >= 1.
        n_mels: 80, or 128 for large-v3.
    Returns:
        scaled log10 mel power, shape (n_mels, n_samples // 160), one column per 10 ms; max - min <=
        2.
    Source: openai/whisper audio.py, log_mel_spectrogram (floor 8 decades below the peak, then (x +
    4) / 4).
    """
    window, filters = _window(), _filters(n_mels)
    padded = np.pad(
        samples, N_FFT // 2, mode="reflect" if len(samples) > N_FFT // 2 else "constant"
    )
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_SAMPLES][
        : len(samples) // HOP_SAMPLES
    ]
    power = np.abs(np.fft.rfft(frames * window, axis=-1).astype(np.complex64)) ** 2
    log_power = np.log10(np.maximum(filters @ power.T, 1e-10))
    log_power = np.maximum(log_power, log_power.max(initial=-10.0) - 8.0)
    scaled: NDArray[np.float32] = ((log_power + 4.0) / 4.0).astype(np.float32)
    return scaled


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=2)
def _filters(n_mels: int) -> NDArray[np.float32]:
    """Return the mel filters, shape (n_mels, N_FFT // 2 + 1)."""
    filters: NDArray[np.float64] = mel_filter_bank(
        num_frequency_bins=N_FFT // 2 + 1,
        num_mel_filters=n_mels,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE / 2,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return np.ascontiguousarray(filters.T, dtype=np.float32)
