"""The work on one clip, as done in worker processes: hash its file, decode, judge, encode."""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.contract.errors import DataError
from training.prepare import audio
from training.prepare.config import PrepareConfig
from training.prepare.filters import SOUND_FILTERS
from training.prepare.rows import Drop, Row, bad
from training.prepare.splits import EVALUATION_SPLITS

_TRUNCATED_S = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class PreparedClip:
    """One clip, ready for a shard: the FLAC file and the facts beside it."""

    flac: bytes
    facts: dict[str, Any]


def hashed(rows: Iterable[Row], root: Path) -> list[Row | Drop]:
    """Give rows the hash of their audio: of the file, and of the part where they name one."""
    return [_hashed(row, root) for row in rows]


def prepared(rows: Iterable[Row], root: Path, config: PrepareConfig) -> list[PreparedClip | Drop]:
    """Decode, judge and encode clips; what cannot be decoded is a bad row, not an error."""
    return [_prepared(row, root, config) for row in rows]


def _hashed(row: Row, root: Path) -> Row | Drop:
    try:
        with (root / row.audio).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        return bad(row.where, f"{row.audio}: {error.strerror}")
    if row.start_s is not None or row.end_s is not None:
        digest.update(f"{row.start_s}-{row.end_s}".encode())
    return dataclasses.replace(row, audio_sha256=digest.hexdigest())


def _prepared(row: Row, root: Path, config: PrepareConfig) -> PreparedClip | Drop:
    try:
        sound = audio.decode(root / row.audio, row.start_s, row.end_s)
    except DataError as error:
        return bad(row.where, f"{row.audio}: {error.message}")
    if row.released_duration_s and sound.duration_s < row.released_duration_s - _TRUNCATED_S:
        short = f"{sound.duration_s:.1f} s of {row.released_duration_s:.1f} s are there"
        return bad(row.where, f"{row.audio}: {short}")
    evaluation = row.split in EVALUATION_SPLITS
    if config.trim_silence and not evaluation:
        sound = sound.trimmed()
    for filter_ in SOUND_FILTERS:
        why = filter_.ask(row, sound, config.filters)
        if why and (filter_.evaluation or not evaluation):
            return Drop(filter_.name, row.where, why)
    return PreparedClip(audio.encode(sound.samples), _facts(row, sound))


def _facts(row: Row, sound: audio.Sound) -> dict[str, Any]:
    """List the fields of `shards.Clip` that do not depend on its shard."""
    return {
        "id": row.id,
        "text": row.text,
        "duration_s": sound.duration_s,
        "speaker": row.speaker,
        "domain": row.domain,
        "start_s": None if sound.start_s is None else round(sound.start_s, 3),
        "end_s": None if sound.end_s is None else round(sound.end_s, 3),
        "audio_sha256": row.audio_sha256,
    }
