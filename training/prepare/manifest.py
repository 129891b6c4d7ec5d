"""What `manifest.json` of a prepared corpus says: nothing about paths, times or machines."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.json"
FORMAT: Literal["whisper-sv/prepared/1"] = "whisper-sv/prepared/1"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ShardEntry(_Entry):
    """One tar of clips and the index beside it."""

    file: str
    """Tar with `ID.flac` and `ID.json` per clip."""
    index: str
    """JSONL, one clip per line in the order of the tar: where it lies and what it says."""
    split: str
    sha256: str
    index_sha256: str
    n_bytes: int
    n_clips: int


class SplitEntry(_Entry):
    """Size of a split and the hash that identifies it wherever a result is reported."""

    n_clips: int
    hours: float
    sha256: str
    """Over id, source audio hash and text of every clip in id order; not over the shards."""


class FilterEntry(_Entry):
    """One filter as it was applied."""

    version: int
    n_dropped: int


class PreparedManifest(_Entry):
    """The whole of `manifest.json`."""

    format: Literal["whisper-sv/prepared/1"] = FORMAT
    source: str
    """Name of the release or data set, as given in the config or read from the folder."""
    sample_rate_hz: int
    shards: tuple[ShardEntry, ...]
    splits: dict[str, SplitEntry]
    filters: dict[str, FilterEntry]
    settings: dict[str, bool | int | float]
    """Bounds of the filters, and whether silence was cut."""
    label_policy: str
    """Name, version and options, such as `sv/1 final_period=false`."""
    plan_sha256: str
    """Over every choice and every selected input clip; equal plans give equal bytes."""
    tools: dict[str, str]
    """Versions of what shaped the bytes: ours, libsndfile, PyAV's FFmpeg, pydub, tokenizer."""
