"""The `prepare` section of a training config."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# Whisper's decoder has 448 positions; the text of a clip shares them with the previous text that a
# prompt may give (at most 224 with its marker) and with 8 special and timestamp tokens.
DECODER_POSITIONS = 448
SPECIAL_TOKENS = 8


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LabelConfig(_Section):
    """What is done to every text; labels.py says how."""

    capital: bool = True
    """Write the first letter as a capital."""
    final_period: bool = False
    """End texts that end in a letter or digit with a full stop."""
    straight_quotes: bool = True
    """Write curly quotes, dashes and ellipses as plain ones, and drop quotes around the whole."""


class FilterConfig(_Section):
    """Bounds of the filters; filters.py says which of them touch dev and test."""

    min_duration_s: float = Field(default=0.3, ge=0)
    max_duration_s: float = Field(default=30.0, gt=0, le=30.0)
    min_chars_per_s: float = Field(default=2.0, ge=0)
    """Characters per second of speech, silence around it left out."""
    max_chars_per_s: float = Field(default=30.0, gt=0)
    max_prompt_tokens: int = Field(default=224, ge=0, lt=DECODER_POSITIONS - SPECIAL_TOKENS)
    """Decoder positions that a prompt may take, so that the text has to fit into the rest."""
    min_peak_dbfs: float = Field(default=-45.0, le=0)
    """A clip whose loudest sample is below this is silent."""
    min_speech_s: float = Field(default=0.1, ge=0)
    max_clipped_share: float = Field(default=0.02, ge=0, le=1)
    """Share of samples at full scale."""
    keep_empty_text: bool = False
    """Keep clips without text: noise from which to learn that nothing was said."""
    latin_only: bool = True
    """Drop texts with letters of another script."""
    votes: bool = True
    """Drop clips with at least as many votes against as for."""
    reported: bool = True
    """Drop clips whose sentence readers reported."""
    duplicate_sentences: bool = True
    """Drop a sentence that the same speaker has read before."""
    max_repeats_per_sentence: int = Field(default=3, ge=1)
    """Clips of one sentence in train and extra together."""


class SplitConfig(_Section):
    """Splits for sources that come without; released splits stay as they are."""

    by: Literal["speaker", "sentence"] = "speaker"
    """What never crosses a border between splits that are drawn; sentence where a source names no
    speakers."""
    dev_share: float = Field(default=0.05, ge=0, lt=0.5)
    test_share: float = Field(default=0.05, ge=0, lt=0.5)
    extra: bool = True
    """Add Common Voice's validated clips that share nothing with dev and test."""


class PrepareConfig(_Section):
    """Recordings and texts in, a prepared corpus out."""

    source: Path
    """Common Voice release (folder or tarball), manifest (.jsonl, .csv, .tsv), folder of audio with
    .txt beside it, or parquet/arrow export (file or folder)."""
    format: Literal["auto", "common_voice", "manifest", "folder", "table"] = "auto"
    name: str = ""
    """Name of the data in manifest and reports; the name of the source by default."""
    locale: str = ""
    """Which language of a Common Voice folder that holds several, such as sv-SE."""
    audio_root: Path | None = None
    """What relative audio paths of a manifest start from; its own folder by default."""
    tokenizer: str = ""
    """tokenizer.json, a folder with one, or a hub id, to count tokens; empty counts none."""
    labels: LabelConfig = LabelConfig()
    filters: FilterConfig = FilterConfig()
    splits: SplitConfig = SplitConfig()
    trim_silence: bool = True
    """Cut silence around the speech of train and extra; dev and test stay as released."""
    clips_per_shard: int = Field(default=2000, ge=1)
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """Stop when more than this share of the rows is unreadable."""
    workers: int = Field(default=0, ge=0)
    """Processes; 0 means one per core."""
    scratch_dir: Path | None = None
    """Where a run to a remote URL keeps its unfinished work; the temporary folder by default."""
    overwrite: bool = False
    """Replace a corpus that was prepared from other input or settings."""
    export: Path | None = None
    """Also pack the result into this .tar.gz."""
