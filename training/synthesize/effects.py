"""What happens to clean speech on its way to a microphone and a file.

Everything is drawn from the generator that is handed in; samples are mono float32 at
16 kHz, shape (n_samples,), and keep their length.
"""

import io
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from training.synthesize.config import EffectsConfig

SAMPLE_RATE = 16_000
Samples = NDArray[np.float32]


def apply(samples: Samples, config: EffectsConfig, rng: np.random.Generator) -> Samples:
    """Send the samples through the effects that the dice choose, in the order of nature."""
    chances = rng.random(5)
    if chances[0] < config.reverb:
        samples = reverberate(samples, rng)
    if chances[1] < config.noise:
        samples = add_noise(samples, rng)
    if chances[2] < config.telephone:
        samples = band_limit(samples, 300, 3400)
    if chances[3] < config.gain:
        samples = set_peak(samples, rng.uniform(-25, -0.5))
    if chances[4] < config.codec:
        samples = through_codec(samples, rng)
    return samples


def noise(n_samples: int, rng: np.random.Generator) -> Samples:
    """Make noise of power 1 between white (flat) and brown (falling 6 dB per octave)."""
    white = np.fft.rfft(rng.standard_normal(_fft_length(n_samples), dtype=np.float32))
    slope = rng.uniform(0, 1)
    frequency = np.maximum(np.arange(len(white)), 1)
    coloured = np.fft.irfft(white * frequency**-slope)[:n_samples]
    return (coloured / max(float(np.std(coloured)), 1e-9)).astype(np.float32)


def add_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    """Add noise that is 8 to 35 dB weaker than the speech."""
    ratio_db = rng.uniform(8, 35)
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-ratio_db / 20)
    return samples + np.float32(level) * noise(len(samples), rng)


def reverberate(samples: Samples, rng: np.random.Generator) -> Samples:
    """Add the echoes of a room that decay by 60 dB in 0.1 to 0.6 s."""
    decay_s = rng.uniform(0.1, 0.6)
    time_s = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    echoes = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / decay_s)
    echoes *= rng.uniform(0.05, 0.5) / np.sqrt(np.sum(echoes**2))
    echoes[0] = 1.0
    n = _fft_length(len(samples) + len(echoes))
    wet = np.fft.irfft(np.fft.rfft(samples, n) * np.fft.rfft(echoes, n), n)
    return wet[: len(samples)].astype(np.float32)


def band_limit(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """Remove everything outside a band of frequencies."""
    n = _fft_length(len(samples))
    spectrum = np.fft.rfft(samples, n)
    frequency = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    return np.fft.irfft(spectrum)[: len(samples)].astype(np.float32)


def _fft_length(n_samples: int) -> int:
    """Find the next power of two: a length with a large prime factor takes far longer."""
    return 1 << max(1, n_samples - 1).bit_length()


def set_peak(samples: Samples, peak_db: float) -> Samples:
    """Scale so that the loudest sample is `peak_db` below full scale."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples if peak == 0 else (samples * (10 ** (peak_db / 20) / peak)).astype(np.float32)


def through_codec(samples: Samples, rng: np.random.Generator) -> Samples:
    """Code and decode with one of three lossy codecs, at a random bit rate where it has one."""
    choice = rng.integers(3)
    bit_rate = int(rng.choice((16_000, 24_000, 32_000)))
    if choice == 0:
        return _mu_law(samples)
    coded = encode(samples, "mp3" if choice == 1 else "libopus", bit_rate)
    return _fit(_decode(coded), len(samples))


def _mu_law(samples: Samples) -> Samples:
    """Round to the 256 levels of telephone mu-law (ITU-T G.711)."""
    clipped = np.clip(samples, -1, 1)
    coded = np.round(127 * np.sign(clipped) * np.log1p(255 * np.abs(clipped)) / np.log(256)) / 127
    linear = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255
    return np.asarray(linear, np.float32)


def encode(
    samples: Samples, codec: Literal["mp3", "libopus"], bit_rate: int, **options: str
) -> io.BytesIO:
    """Code into a file in memory; `options` are those of the codec."""
    file = io.BytesIO()
    frame = av.AudioFrame.from_ndarray(
        np.clip(samples, -1, 1).reshape(1, -1), format="fltp", layout="mono"
    )
    frame.sample_rate = SAMPLE_RATE
    with av.open(file, "w", format="mp3" if codec == "mp3" else "ogg") as container:
        stream = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono", options=options)
        stream.bit_rate = bit_rate
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=SAMPLE_RATE, frame_size=stream.frame_size
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


def _decode(file: io.BytesIO) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(file, "r") as container:
        frames = [
            frame for coded in container.decode(audio=0) for frame in resampler.resample(coded)
        ]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def _fit(samples: Samples, n_samples: int) -> Samples:
    """Cut or pad with zeros to the wanted length: a codec may add a little at the end."""
    return np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))
