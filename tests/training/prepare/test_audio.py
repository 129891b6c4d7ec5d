"""Decoding, levels and silence on spoken audio."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.errors import DataError
from tests.training.prepare.conftest import Spoken, encode_mp3
from training.prepare.audio import decode

WORDS = "Det här är en mening som räcker en stund."


def read_wav(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = 16_000) -> Path:
    """Write samples of shape (n_samples, n_channels) or (n_samples,)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def test_wav_comes_back_sample_by_sample(speech: Callable[..., Path]) -> None:
    path = speech(WORDS)
    assert np.array_equal(decode(path).samples, read_wav(path))


def test_mp3_keeps_its_speech(speech: Callable[..., Path], tmp_path: Path) -> None:
    encode_mp3(speech(WORDS), tmp_path / "a.mp3")
    original, decoded = read_wav(speech(WORDS)), decode(tmp_path / "a.mp3").samples
    assert 0 <= len(decoded) - len(original) < 2400  # padded to whole frames
    n_samples = len(original) - 2400
    both = np.correlate(decoded[:n_samples].astype(float), original[: n_samples // 2].astype(float))
    energy = np.sum(original[: n_samples // 2].astype(float) ** 2)
    assert both.max() > 0.9 * energy


def test_stereo_at_another_rate_becomes_mono_at_16_khz(
    speech: Callable[..., Path], tmp_path: Path
) -> None:
    mono = read_wav(speech(WORDS))
    twice = np.repeat(mono, 2)  # 32 kHz
    path = write_wav(tmp_path / "a.wav", np.stack([twice, twice], axis=1), 32_000)
    assert abs(len(decode(path).samples) - len(mono)) < 100


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_part_of_a_recording(speech: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    samples = np.concatenate([read_wav(speech(WORDS))] * 20)
    path = write_wav(tmp_path / "long.wav", samples)
    if kind == "mp3":
        encode_mp3(path, tmp_path / "long.mp3")
        path = tmp_path / "long.mp3"
    whole = decode(path).samples
    start_s, end_s = 31.25, 34.5
    part = decode(path, start_s, end_s).samples
    assert abs(len(part) - 52_000) <= 1
    there = whole[500_000:552_000].astype(float)
    loudness = np.sum(there**2)
    lags = range(-200, 201)
    found = max(lags, key=lambda lag: np.sum(there[400:-400] * part[400 + lag : 51_600 + lag]))
    assert abs(found) <= 160, f"{found} samples away"
    assert np.sum(there[400:-400] * part[400 + found : 51_600 + found]) > 0.95 * loudness
    rest = decode(path, start_s).samples
    assert abs(len(rest) - (len(whole) - 500_000)) <= 160


def test_speech_bounds_and_trimming(speech: Callable[..., Path], tmp_path: Path) -> None:
    silence = np.zeros(16_000, np.int16)
    noise = np.random.default_rng(1).normal(0, 10, 16_000).astype(np.int16)
    samples = np.concatenate([silence, noise, read_wav(speech(WORDS)), noise, silence])
    sound = decode(write_wav(tmp_path / "a.wav", samples))
    alone = decode(speech(WORDS))
    assert alone.start_s is not None and sound.start_s == pytest.approx(alone.start_s + 2, abs=0.02)
    assert alone.end_s is not None and sound.end_s == pytest.approx(alone.end_s + 2, abs=0.02)
    cut = sound.trimmed()
    assert cut.duration_s == pytest.approx(sound.speech_s + 0.3, abs=0.02)
    assert cut.start_s == pytest.approx(0.15) and cut.speech_s == pytest.approx(sound.speech_s)


def test_speech_bounds_in_noise(speech: Callable[..., Path], tmp_path: Path) -> None:
    words = read_wav(speech(WORDS)).astype(np.float64)
    padded = np.concatenate([np.zeros(8000), words, np.zeros(8000)])
    level = np.sqrt(np.mean(words**2)) * 10 ** (-20 / 20)  # 20 dB below the speech
    noisy = padded + np.random.default_rng(1).normal(0, level, len(padded))
    sound = decode(write_wav(tmp_path / "a.wav", noisy.clip(-32_768, 32_767).astype(np.int16)))
    alone = decode(speech(WORDS))
    assert alone.start_s is not None and sound.start_s == pytest.approx(
        alone.start_s + 0.5, abs=0.1
    )
    assert alone.end_s is not None and sound.end_s == pytest.approx(alone.end_s + 0.5, abs=0.1)


def test_noise_as_loud_as_speech_is_not_cut(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 32_000).astype(np.int16)
    sound = decode(write_wav(tmp_path / "a.wav", noise))
    assert len(sound.trimmed().samples) == 32_000


def test_silence_has_no_speech(tmp_path: Path) -> None:
    sound = decode(write_wav(tmp_path / "a.wav", np.zeros(16_000, np.int16)))
    assert (sound.start_s, sound.end_s, sound.speech_s) == (None, None, 0.0)
    assert sound.peak_dbfs == -float("inf")
    assert len(sound.trimmed().samples) == 16_000


def test_levels(tmp_path: Path) -> None:
    samples = np.full(1000, 16_384, np.int16)
    samples[:100] = -32_768
    sound = decode(write_wav(tmp_path / "a.wav", samples))
    assert sound.clipped_share == pytest.approx(0.1)
    assert sound.peak_dbfs == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("content", [b"", b"text", b"ID3\x03" + b"\0" * 2000])
def test_what_is_no_audio_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(DataError, match="cannot be decoded|has no audio"):
        decode(tmp_path / "a.mp3")


def test_few_bytes_behind_the_last_frame_are_no_damage(
    spoken: tuple[Spoken, ...], tmp_path: Path
) -> None:
    whole, path = spoken[0].path.read_bytes(), tmp_path / "a.mp3"
    path.write_bytes(whole + b"\x01")
    assert np.array_equal(decode(path).samples, decode(spoken[0].path).samples)
    half = len(whole) // 2
    for damaged in (
        whole[:half] + bytes(half),
        whole[:half] + bytes(1000) + whole[half + 1000 :],
        whole + bytes(5000),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be decoded"):
            decode(path)


def test_part_behind_the_end_is_told(spoken: tuple[Spoken, ...]) -> None:
    with pytest.raises(DataError, match="has no audio in that part"):
        decode(spoken[0].path, 100.0, 105.0)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file does not exist"):
        decode(tmp_path / "a.mp3")
