"""Tells what kind of source a path is and opens it."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from services.contract.errors import DataError
from training.prepare import audio_folder, common_voice, manifest_file, tables
from training.prepare.config import PrepareConfig
from training.prepare.rows import Drop, Row

_MANIFEST_SUFFIXES = frozenset({".jsonl", ".csv", ".tsv"})


@dataclasses.dataclass(frozen=True)
class Source:
    """An opened source: its rows, and the folder that their audio paths start from."""

    name: str
    root: Path
    rows: Iterator[Row | Drop]
    notes: tuple[str, ...] = ()
    """What a person should know who did not mean to give just this."""


def open_source(config: PrepareConfig, scratch: Path) -> Source:
    """Open a source; audio inside an archive or table is written under `scratch` first.

    Raises:
        DataError: the source is not there, of no known kind, or lacks a column.
    """
    if not config.source.exists():
        raise DataError(
            "does not exist; set prepare.source to your recordings", path=str(config.source)
        )
    kind = _kind(config.source) if config.format == "auto" else config.format
    return _OPEN[kind](config, scratch)


def _kind(source: Path) -> str:
    if source.name.lower().endswith((".tar.gz", ".tgz", ".tar")):
        return "common_voice"
    if source.is_file():
        return _kind_of_file(source)
    if common_voice.is_meant(source):
        return "common_voice"
    if tables.table_files(source):
        return "table"
    return "folder"


def _kind_of_file(source: Path) -> str:
    if source.suffix.lower() in _MANIFEST_SUFFIXES:
        return "manifest"
    if source.suffix.lower() in tables.TABLE_SUFFIXES:
        return "table"
    raise DataError(
        "is no source this reads; give a folder, .tar.gz, .jsonl, .csv, .tsv, .parquet or .arrow",
        path=str(source),
    )


def _common_voice(config: PrepareConfig, scratch: Path) -> Source:
    folder = config.source
    if folder.is_file():
        folder = common_voice.unpack(folder, scratch)
    release = common_voice.find_release(folder, config.locale, config.source)
    rows = common_voice.read(release, extra=config.splits.extra)
    return Source(config.name or common_voice.release_name(release), release / "clips", rows)


def _manifest(config: PrepareConfig, scratch: Path) -> Source:
    root = config.audio_root or config.source.parent
    return Source(config.name or config.source.name, root, manifest_file.read(config.source, root))


def _folder(config: PrepareConfig, scratch: Path) -> Source:
    return Source(
        config.name or config.source.name, config.source, audio_folder.read(config.source)
    )


def _table(config: PrepareConfig, scratch: Path) -> Source:
    rows = tables.read(config.source, scratch)
    name = config.name or config.source.name
    return Source(name, scratch, rows, tables.notes(config.source))


_OPEN: dict[str, Callable[[PrepareConfig, Path], Source]] = {
    "common_voice": _common_voice,
    "manifest": _manifest,
    "folder": _folder,
    "table": _table,
}
