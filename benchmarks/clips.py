"""Swedish speech to measure with: sentences spoken by espeak-ng, each clip different."""

import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.synthesize import batches
from training.synthesize.config import EffectsConfig, SynthesizeConfig
from training.synthesize.plan import plan

RATE = 16_000
SHORTEST_S, LONGEST_S = 2.0, 10.0


@dataclass(frozen=True)
class Clip:
    """One recording and its words."""

    path: Path
    text: str
    duration: float


def speak(folder: Path, n_clips: int, seed: int = 20) -> list[Clip]:
    """Make clips of 2 to 10 s from the test sentences, which no model was trained on."""
    quiet = EffectsConfig(noise=0, reverb=0, telephone=0, codec=0, gain=0)
    config = SynthesizeConfig(
        n_train=0,
        n_dev=0,
        n_test=3 * n_clips,
        dictionary_share=0,
        audio_format="wav",
        effects=quiet,
        n_processes=1,
        seed=seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as records:
        for batch in batches.cut(plan(config), folder, Path(records)):
            batches.speak(batch, config)
    found = (
        Clip(folder / f"{p.name}.wav", p.sentence.text, seconds(folder / f"{p.name}.wav"))
        for p in plan(config)
    )
    chosen = [clip for clip in found if SHORTEST_S <= clip.duration <= LONGEST_S]
    return chosen[:n_clips]


def of_length(clips: list[Clip], duration: float, number: int) -> bytes:
    """Join clips to a WAV of this length; each number gives other bytes, the same sound."""
    parts: list[np.ndarray] = []
    while sum(len(part) for part in parts) < duration * RATE:
        with wave.open(str(clips[(number + len(parts)) % len(clips)].path)) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), dtype="<i2"))
    samples = np.concatenate(parts)[: round(duration * RATE)].copy()
    samples[-32:] = [number >> bit & 1 for bit in range(32)]
    return to_wav(samples)


def to_wav(samples: np.ndarray) -> bytes:
    """Return 16-bit mono samples as a WAV file."""
    with tempfile.SpooledTemporaryFile() as target:
        with wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        target.seek(0)
        return target.read()


def seconds(path: Path) -> float:
    """Return the length of a WAV file."""
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()
