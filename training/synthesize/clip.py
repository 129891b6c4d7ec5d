"""One clip: from its plan to an audio file and what is known about it."""

import io
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from services.contract.errors import DataError
from training.synthesize import effects
from training.synthesize.config import SynthesizeConfig
from training.synthesize.effects import SAMPLE_RATE, Samples
from training.synthesize.espeak import Manner, SpokenWord, espeak
from training.synthesize.plan import ClipPlan

# Nobody starts to speak at the first sample: silence before and after, in seconds.
_LEAD_S = (0.05, 0.4)
_TAIL_S = (0.05, 0.4)
_NOISE_S = (0.5, 6.0)
_RATE_JITTER = 0.06
# LAME's faster search takes a fifth less time than its default and is good enough for this voice.
_MP3_BIT_RATE = 48_000
_MP3_FAST = {"compression_level": "7"}


@dataclass(frozen=True)
class MadeClip:
    """What the tables say about a clip; `words` are in seconds from its first sample."""

    duration_s: float
    words: tuple[SpokenWord, ...]


def make(plan: ClipPlan, config: SynthesizeConfig, path: Path) -> MadeClip:
    """Speak the sentence (or make noise, if it is empty) and write the file.

    Raises:
        DataError: espeak-ng or the voice is missing, or the sentence gave no sound.
        OSError: the file cannot be written.
    """
    seed = sha256(f"clip {config.seed} {plan.name} {plan.sentence.text}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    samples, words = _speak(plan, rng) if plan.sentence.text else (_silence(rng), ())
    if plan.split == "train" or config.effects_in_evaluation:
        samples = effects.apply(samples, config.effects, rng)
    _write(samples, path)
    return MadeClip(len(samples) / SAMPLE_RATE, words)


def _speak(plan: ClipPlan, rng: np.random.Generator) -> tuple[Samples, tuple[SpokenWord, ...]]:
    speech = espeak().say(plan.sentence.text, _vary(plan.speaker.manner, rng))
    if not speech.words:
        raise DataError(
            f"espeak-ng says nothing for {plan.sentence.text!r}: take it out of the sentences"
        )
    lead = int(rng.uniform(*_LEAD_S) * SAMPLE_RATE)
    tail = int(rng.uniform(*_TAIL_S) * SAMPLE_RATE)
    samples = np.pad(_resample(speech.samples, speech.sample_rate), (lead, tail))
    return samples, tuple(_shift(word, lead / SAMPLE_RATE) for word in speech.words)


def _shift(word: SpokenWord, seconds: float) -> SpokenWord:
    return SpokenWord(word.word, round(word.start + seconds, 4), round(word.end + seconds, 4))


def _vary(manner: Manner, rng: np.random.Generator) -> Manner:
    """Nobody says everything at one speed."""
    rate = round(manner.rate * rng.uniform(1 - _RATE_JITTER, 1 + _RATE_JITTER))
    return Manner(manner.voice, rate, manner.pitch, manner.pitch_range, manner.word_gap)


def _silence(rng: np.random.Generator) -> Samples:
    """Make noise without speech, from hardly audible to loud."""
    n_samples = int(rng.uniform(*_NOISE_S) * SAMPLE_RATE)
    return effects.set_peak(effects.noise(n_samples, rng), rng.uniform(-60, -6))


def _resample(samples: NDArray[np.int16], sample_rate: int) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = sample_rate
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray().reshape(-1) for piece in pieces])


def _write(samples: Samples, path: Path) -> None:
    """Write 16 bit audio, or mp3, in the format that the file's ending names."""
    if path.suffix == ".mp3":
        path.write_bytes(effects.encode(samples, "mp3", _MP3_BIT_RATE, **_MP3_FAST).getvalue())
        return
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), SAMPLE_RATE, format=path.suffix[1:].upper())
    path.write_bytes(file.getvalue())
