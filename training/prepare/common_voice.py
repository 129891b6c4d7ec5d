"""Common Voice releases: tsv files and clips, packed or unpacked, of any version.

The files are tab-separated without any quoting: a sentence may begin with a quote mark and never
close it, so a CSV reader would swallow the rows behind it. Columns come and go between releases;
only client_id, path and sentence are in all of them.
"""

import gzip
import logging
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.contract.errors import DataError
from training.prepare.rows import AUDIO_SUFFIXES, Drop, Row, bad, clip_id

logger = logging.getLogger(__name__)

SPLITS = ("test", "dev", "train")
_REQUIRED = ("client_id", "path", "sentence")
_COPY_BYTES = 1 << 20


def release_folders(folder: Path) -> list[Path]:
    """Find the language folders of a release: here, or up to two levels down."""
    marks = ("train.tsv", "*/train.tsv", "*/*/train.tsv")
    found = sorted({path.parent for mark in marks for path in folder.glob(mark)})
    return [path for path in found if (path / "clips").is_dir()]


def is_meant(folder: Path) -> bool:
    """Tell whether a folder is a release, or one of the kinds that cannot be read as such."""
    return bool(release_folders(folder) or _other_kind(folder))


def _other_kind(folder: Path) -> str:
    """Say what a folder without train.tsv has been downloaded as, empty when nobody can tell."""
    for depth in ("", "*/", "*/*/"):
        if next(folder.glob(f"{depth}ss-corpus-*.tsv"), None):
            return (
                "is a Spontaneous Speech release: write a manifest with `audio` from audio_file, "
                "`text` from transcription, and its split"
            )
        if next(folder.glob(f"{depth}validated.tsv"), None):
            return "has no train.tsv, as delta segments have none: download the whole release"
    return ""


def find_release(folder: Path, locale: str, source: Path) -> Path:
    """Find the one language folder to read.

    Args:
        source: what the person gave, for messages: the folder, or the tarball it came from.
    Raises:
        DataError: there is none, or several and no locale to choose by.
    """
    found = release_folders(folder)
    if not found and (kind := _other_kind(folder)):
        raise DataError(kind, path=str(source))
    if locale:
        found = [path for path in found if path.name == locale]
    if not found:
        named = f" for {locale}" if locale else ""
        raise DataError(
            f"holds no train.tsv with a clips folder beside it{named}; give the release's folder",
            path=str(source),
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(
            f"holds several languages; set prepare.locale to one of {names}", path=str(source)
        )
    return found[0]


def release_name(release: Path) -> str:
    """Name a release as `cv-corpus-25.0-2026-03-01/sv-SE`: splits differ from one to the next."""
    return "/".join(release.absolute().parts[-2:])


def unpack(tarball: Path, scratch: Path) -> Path:
    """Unpack a release, once: its clips lie in no useful order and gzip cannot be read at a place.

    What an earlier run unpacked from another tarball gives way.

    Raises:
        DataError: not a tarball, or one with paths that leave its folder.
    """
    folder, note = scratch / "release", scratch / "release.of"
    staging = scratch / "release.part"
    status = tarball.stat()
    origin = f"{tarball.name} {status.st_size} {status.st_mtime_ns}"
    if folder.is_dir():
        if note.exists() and note.read_text(encoding="utf-8") == origin:
            return folder
        shutil.rmtree(staging, ignore_errors=True)
        folder.rename(staging)  # in one step: killed while removing, none of it counts
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    logger.info("unpacking %s, which takes minutes for gigabytes", tarball)
    try:
        with tarfile.open(tarball) as tar:
            tar.extractall(staging, filter="data")
            _read_to_end(tar)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DataError(
            f"cannot be unpacked ({reason}); download it again", path=str(tarball)
        ) from error
    note.write_text(origin, encoding="utf-8")
    staging.rename(folder)
    return folder


def _read_to_end(tar: tarfile.TarFile) -> None:
    """Look at what follows the last member: tarfile takes a damaged header for the end.

    Raises:
        tarfile.ReadError: more than zeros.
    """
    file: Any = tar.fileobj
    while block := file.read(_COPY_BYTES):
        if block.count(0) < len(block):
            raise tarfile.ReadError("a header within it is damaged")


def read(release: Path, *, extra: bool) -> Iterator[Row | Drop]:
    """Yield test, dev and train, then `validated` rows that are in none of them as `extra`.

    Raises:
        DataError: train.tsv, or a column of a file, is missing.
    """
    reported = _reported(release / "reported.tsv")
    durations = _durations(release / "clip_durations.tsv")
    seen: set[str] = set()
    for split in (*SPLITS, "extra") if extra else SPLITS:
        path = release / ("validated.tsv" if split == "extra" else f"{split}.tsv")
        if not path.exists():
            continue
        for where, record in _records(path, _REQUIRED):
            if isinstance(record, str):
                yield bad(where, record)
            elif record["path"] not in seen:
                seen.add(record["path"])
                yield _row(where, record, split, reported, durations)


def _row(
    where: str,
    record: dict[str, str],
    split: str,
    reported: frozenset[str],
    durations: dict[str, float],
) -> Row | Drop:
    # The first releases name clips without a suffix.
    path = record["path"]
    audio = path if Path(path).suffix.lower() in AUDIO_SUFFIXES else f"{path}.mp3"
    try:
        up_votes, down_votes = (
            int(float(record.get(key) or 0)) for key in ("up_votes", "down_votes")
        )
    except (ValueError, OverflowError):  # nan, inf
        return bad(where, "up_votes and down_votes must be whole numbers")
    return Row(
        id=clip_id(audio),
        audio=audio,
        text=record["sentence"],
        where=where,
        speaker=record["client_id"],
        split=split,
        up_votes=up_votes,
        down_votes=down_votes,
        reported=record["sentence"] in reported or record.get("sentence_id", "") in reported,
        released_duration_s=durations.get(path),
        domain=record.get("sentence_domain") or "",
    )


def _reported(path: Path) -> frozenset[str]:
    """Collect reported sentences and, where the release has them, their ids."""
    if not path.exists():
        return frozenset()
    keys: set[str] = set()
    for _, record in _records(path, ("sentence",)):
        if not isinstance(record, str):
            keys |= {record["sentence"], record.get("sentence_id", "")}
    return frozenset(keys - {""})


def _durations(path: Path) -> dict[str, float]:
    """Map clip to seconds; releases since 16.1 state them, in milliseconds.

    The column of names is `clip` in the files and `filename` in the description of the format.
    """
    if not path.exists():
        return {}
    durations: dict[str, float] = {}
    for _, record in _records(path, ()):
        if isinstance(record, str):
            continue
        milliseconds = record.get("duration[ms]", "")
        if milliseconds.isdigit():
            durations[record.get("clip") or record.get("filename", "")] = int(milliseconds) / 1000
    return durations


def _records(path: Path, required: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str] | str]]:
    """Yield each line's place and its columns, or what is wrong with it."""
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig").rstrip("\r\n").split("\t")
        if missing := [name for name in required if name not in header]:
            raise DataError(
                f"has no column {missing[0]}; its columns are {', '.join(header) or '(none)'}",
                path=str(path),
            )
        for number, line in enumerate(file, start=2):
            if line.strip():
                yield f"{path.name}:{number}", _columns(header, line)


def _columns(header: list[str], line: bytes) -> dict[str, str] | str:
    try:
        values = line.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return "not UTF-8"
    if len(values) != len(header):
        return f"{len(values)} columns where the header has {len(header)}"
    return dict(zip(header, values, strict=True))
