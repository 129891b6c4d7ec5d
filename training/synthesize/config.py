"""The `synthesize` section of a training config."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

AudioFormat = Literal["mp3", "flac", "wav"]


class EffectsConfig(BaseModel):
    """How often a clip gets each effect, 0 to 1; every effect draws its own strength."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    noise: float = Field(default=0.4, ge=0, le=1)
    """White to brown noise, 8 to 35 dB below the speech."""
    reverb: float = Field(default=0.2, ge=0, le=1)
    """A small to large room, 0.1 to 0.6 s of reverberation."""
    telephone: float = Field(default=0.05, ge=0, le=1)
    """The band of a telephone line, 300 to 3400 Hz."""
    codec: float = Field(default=0.05, ge=0, le=1)
    """Through a lossy codec (Opus, MP3 or telephone mu-law) and back."""
    gain: float = Field(default=0.8, ge=0, le=1)
    """Louder or softer than espeak-ng speaks: peak at -25 to -0.5 dB."""


class SynthesizeConfig(BaseModel):
    """Which sentences to speak, by whom, and how many of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    n_train: int = Field(default=45_000, ge=0)
    """Clips in train.tsv."""
    n_dev: int = Field(default=400, ge=0)
    """Clips in dev.tsv."""
    n_test: int = Field(default=1_200, ge=0)
    """Clips in test.tsv."""
    dictionary_share: float = Field(default=0.4, ge=0, le=1)
    """Share of clips with random dictionary words instead of sentences."""
    noise_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of clips with noise alone and an empty sentence."""
    text_file: Path | None = None
    """A UTF-8 file with one sentence per line, spoken instead of the built-in grammar. Labels are
    the lines as they are: write numbers in words."""
    dictionary_file: Path = Path("/usr/share/dict/swedish")
    """A word list, one word per line."""
    max_words: int = Field(default=6, ge=2, le=20)
    """Most dictionary words in one clip."""
    n_speakers: int = Field(default=800, ge=1)
    """Different speakers in train: a voice with its own pitch, speed and loudness."""
    effects: EffectsConfig = EffectsConfig()
    """Sound effects on the train split."""
    effects_in_evaluation: bool = False
    """Also in dev and test, which are otherwise clean."""
    audio_format: AudioFormat = "flac"
    """File type of the clips, 16 kHz mono. Common Voice has mp3, which takes longer to make."""
    locale: str = "sv-SE"
    """Name of the folder and value of the locale column."""
    seed: int = 1
    """The same seed and config give the same corpus, byte for byte."""
    n_processes: int = Field(default=0, ge=0)
    """Processes that speak at the same time; 0: one per core."""
