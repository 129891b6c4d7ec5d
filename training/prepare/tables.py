"""Parquet and Arrow exports with an `audio` struct of {bytes, path}, as the hub stores them.

Read with pyarrow alone. Audio bytes are written to files first, one row group at a time, so that
clips can be read in any order and by several processes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from services.contract.errors import DataError
from training.prepare.manifest_file import split_name
from training.prepare.rows import AUDIO_SUFFIXES, Drop, Row, bad, clip_id

TABLE_SUFFIXES = frozenset({".parquet", ".arrow"})
# The first one there is taken. FLEURS has two: `transcription` is lower case without punctuation.
_TEXT_COLUMNS = ("text", "sentence", "raw_transcription", "transcription", "transcript")
_SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")
_OPTIONAL = ("up_votes", "down_votes", "sentence_domain")
_BATCH_ROWS = 64


def table_files(folder: Path) -> list[Path]:
    """List parquet and arrow files below a folder, in order of path.

    `filter`, `shuffle` and `map` of the datasets library leave cache-*.arrow beside the data: lists
    of row numbers, or the same clips again.
    """
    files = (path for path in folder.rglob("*") if path.suffix.lower() in TABLE_SUFFIXES)
    return sorted(path for path in files if not path.match("cache-*.arrow"))


def notes(source: Path) -> tuple[str, ...]:
    """Say when a folder holds several configurations, in many a dataset of the hub languages."""
    folders = {path.relative_to(source).parts[0] for path in table_files(source)}
    names = sorted(name for name in folders if (source / name).is_dir() and not split_name(name))
    if len(names) < 2:
        return ()
    told = f"{', '.join(names)} were read together; if you want one of them, give its folder"
    return (told,)


def read(source: Path, scratch: Path) -> Iterator[Row | Drop]:
    """Yield the rows of all files; audio bytes go under `scratch/tables`.

    Raises:
        DataError: a file is damaged, or lacks the audio or a text column.
    """
    root = source if source.is_dir() else source.parent
    files = table_files(source) if source.is_dir() else [source]
    for file in files:
        name = file.relative_to(root)
        split = _split(name)
        try:
            for number, record in enumerate(_records(file)):
                yield _row(f"{name.as_posix()}:{number}", record, split, scratch, root)
        except pyarrow.ArrowException as error:
            raise DataError(f"not readable ({error}); export it again", path=str(file)) from error


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for batch in _batches(file):
        names = batch.schema.names
        text = next((name for name in _TEXT_COLUMNS if name in names), None)
        if text is None or "audio" not in names:
            missing = "audio" if text else "text or sentence"
            raise DataError(
                f"has no column {missing}; its columns are {', '.join(names)}", path=str(file)
            )
        speaker = next((name for name in _SPEAKER_COLUMNS if name in names), None)
        wanted = [name for name in ("audio", text, speaker, *_OPTIONAL) if name in names]
        for record in batch.select(wanted).to_pylist():
            yield {**record, "text": record[text], "speaker": record[speaker] if speaker else ""}


def _batches(file: Path) -> Iterator[Any]:
    if file.suffix.lower() == ".parquet":
        with pyarrow.parquet.ParquetFile(file) as table:
            yield from table.iter_batches(batch_size=_BATCH_ROWS)
        return
    with pyarrow.memory_map(str(file)) as source:
        yield from _arrow_batches(source)


def _arrow_batches(source: Any) -> Iterator[Any]:
    """Read Arrow's file form, or the stream form that the hub's libraries write."""
    try:
        reader = pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        yield from pyarrow.ipc.open_stream(source)
        return
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _row(where: str, record: dict[str, Any], split: str, scratch: Path, root: Path) -> Row | Drop:
    audio, text = record["audio"], record["text"]
    if isinstance(audio, str | bytes):
        audio = {"path" if isinstance(audio, str) else "bytes": audio}
    if not isinstance(audio, dict) or not (audio.get("bytes") or audio.get("path")):
        return bad(
            where, "audio must be a path, the bytes of a file, or a struct of bytes and path"
        )
    if not isinstance(text, str):
        return bad(where, "the text must be a string")
    try:
        up_votes, down_votes = (int(record.get(key) or 0) for key in ("up_votes", "down_votes"))
    except (ValueError, OverflowError):  # nan, inf
        return bad(where, "up_votes and down_votes must be whole numbers")
    speaker = record["speaker"]
    path = audio.get("path") or ""
    if audio.get("bytes"):
        file = _store(audio["bytes"], where, path, scratch)
    else:
        file = str((root / path).absolute())
    return Row(
        id=clip_id(path or where),
        audio=file,
        text=text,
        where=where,
        speaker="" if speaker is None else str(speaker),
        split=split,
        domain=record.get("sentence_domain") or "",
        up_votes=up_votes,
        down_votes=down_votes,
    )


def _store(content: bytes, where: str, path: str, scratch: Path) -> str:
    """Write one clip's bytes, unless an earlier run did; return its path below `scratch`.

    The earlier run may have read another table, whose clips have the same names and sizes.
    """
    suffix = Path(path).suffix.lower()
    name = f"tables/{clip_id(where)}{suffix if suffix in AUDIO_SUFFIXES else ''}"
    file = scratch / name
    if not (file.exists() and file.read_bytes() == content):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(file.name + ".part")
        partial.write_bytes(content)
        os.replace(partial, file)
    return name


def _split(name: Path) -> str:
    """Read the split off a file's name (`train-00000-of-00002.parquet`) or its folders."""
    for part in (name.name.split("-")[0].split(".")[0], *reversed(name.parts[:-1])):
        if split := split_name(part):
            return split
    return ""
