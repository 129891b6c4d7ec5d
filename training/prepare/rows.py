"""What every source yields: rows that name audio and text, and rows that cannot be used."""

import dataclasses
import hashlib
import re
from pathlib import PurePosixPath

AUDIO_SUFFIXES = frozenset(
    ".mp3 .wav .flac .ogg .opus .m4a .mp4 .webm .aac .wma .aif .aiff .amr".split()
)
_MARK = re.compile(r"<\|[^<|>]*\|>")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One clip as its source describes it."""

    id: str
    audio: str
    """Path of the audio file, relative to the source's root or absolute."""
    text: str
    where: str
    """Where the row stands, such as `train.tsv:12`."""
    speaker: str = ""
    split: str = ""
    """train, dev, test, extra; empty when the source has no splits."""
    up_votes: int = 0
    down_votes: int = 0
    reported: bool = False
    start_s: float | None = None
    """Part of the file that the text belongs to; None means from its start (to its end)."""
    end_s: float | None = None
    released_duration_s: float | None = None
    """Duration that the release states; a shorter clip is a truncated file."""
    domain: str = ""
    """What the sentence is about, empty when the source does not say."""
    audio_sha256: str = ""
    """Of the file's bytes and the part; filled in when the file has been read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """One row that did not get into the corpus, and why."""

    filter: str
    """Name of the filter, or `bad` for a row or clip that cannot be read."""
    where: str
    detail: str


BAD = "bad"


def bad(where: str, detail: str) -> Drop:
    """Name a row that cannot be used: not a choice of a filter, a defect of the input."""
    return Drop(BAD, where, detail)


def defect(row: Row) -> str:
    """Say what no file and no tokenizer could take of a row, empty when all is well.

    Texts that a Whisper wrote may hold its timestamps, which a model would learn to spell out.
    """
    for name, text in (("audio", row.audio), ("text", row.text), ("speaker", row.speaker)):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            return f"{name} holds a character that is none (a zero or half a surrogate pair)"
    if mark := _MARK.search(row.text):
        return f"text holds {mark[0]}, a mark of Whisper's that nobody speaks; take such marks out"
    return ""


def clip_id(audio: str, start_s: float | None = None, end_s: float | None = None) -> str:
    """Make a name that is unique per clip and safe as a file name inside a tar.

    A dot would end the name for WebDataset readers. Where a character has to go, a hash of the
    original keeps names apart that become equal.
    """
    path = PurePosixPath(audio)
    stem = str(path.with_suffix("")) if path.suffix.lower() in AUDIO_SUFFIXES else audio
    part = "" if start_s is None and end_s is None else f"-{_ms(start_s)}-{_ms(end_s)}"
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[-80:]
    if safe != stem:
        safe += "-" + hashlib.sha256(audio.encode()).hexdigest()[:8]
    return safe + part


def _ms(seconds: float | None) -> str:
    return "end" if seconds is None else str(round(seconds * 1000))
