"""The single file `prepared.tar.gz`: a prepared corpus to keep on a drive and to open anywhere.

An archive comes from outside: nothing of it is believed before its hashes are right, and no member
leaves the folder.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from pydantic import ValidationError

from services.contract.errors import DataError
from training.prepare.manifest import MANIFEST_FILE, REPORT_FILE, PreparedManifest
from training.storage import STORAGE_ERRORS

_COPY_BYTES = 1 << 20
_MAX_MANIFEST_BYTES = 64 << 20
_CACHE = Path(".cache") / "whisper-sv" / "prepared"


def is_archive(url: str) -> bool:
    """Tell an archive from a folder by its name."""
    return url.endswith((".tar.gz", ".tgz"))


def export(url: str, archive: Path) -> None:
    """Pack a prepared corpus into one file; the same corpus gives the same bytes.

    Args:
        url: folder or fsspec URL of a complete prepared corpus.
        archive: the file to write; replaced in one step when it is complete.
    Raises:
        DataError: a file of the corpus is missing.
        OSError: the archive cannot be written.
    """
    filesystem, root = fsspec.core.url_to_fs(url)
    manifest = PreparedManifest.model_validate_json(filesystem.cat_file(f"{root}/{MANIFEST_FILE}"))
    partial = archive.with_name(archive.name + ".part")
    with partial.open("wb") as file:
        # FLAC does not shrink further: level 1 packs the indexes and costs least. No name or time.
        with (
            gzip.GzipFile("", "wb", 1, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            for name in (MANIFEST_FILE, REPORT_FILE, *sorted(_hashes(manifest))):
                _add(tar, filesystem, f"{root}/{name}")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, archive)


def holds(archive: Path, manifest: PreparedManifest) -> bool:
    """Tell whether a file is the archive of this corpus, by the manifest that it begins with."""
    try:
        with _members(str(archive)) as (tar, members):
            raw = _manifest(str(archive), tar, members)
        return PreparedManifest.model_validate_json(raw) == manifest
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, ValidationError, DataError):
        return False


def unpack(url: str, cache_dir: Path | None = None) -> Path:
    """Unpack and verify an archive, once; later calls find the folder by the manifest's hash.

    Args:
        url: path or fsspec URL of the archive.
        cache_dir: where the folder goes; `~/.cache/whisper-sv/prepared` by default.
    Returns:
        the prepared folder.
    Raises:
        DataError: not an archive of ours, damaged, a wrong sha256, a path that climbs out, or no
            room to unpack.
    """
    cache = cache_dir or Path.home() / _CACHE
    try:
        return _unpack(url, cache)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, ValidationError) as error:
        raise DataError(
            "damaged or not made by `prepare --export`; copy or export it again", path=url
        ) from error
    except FileNotFoundError as error:
        raise DataError("does not exist; export it with `prepare --export`", path=url) from error
    except STORAGE_ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be unpacked into {cache}: {reason}", path=url) from error


def _unpack(url: str, cache: Path) -> Path:
    with _members(url) as (tar, members):
        raw = _manifest(url, tar, members)
        target = cache / hashlib.sha256(raw).hexdigest()[:16]
        if target.is_dir():
            return target
        cache.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=cache))
        try:
            (staging / MANIFEST_FILE).write_bytes(raw)
            _extract(url, tar, members, staging, _hashes(PreparedManifest.model_validate_json(raw)))
            if not target.is_dir():
                staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


@contextmanager
def _members(url: str) -> Iterator[tuple[tarfile.TarFile, Iterator[tarfile.TarInfo]]]:
    with fsspec.open(url, "rb") as file, tarfile.open(fileobj=file, mode="r|gz") as tar:
        yield tar, iter(tar)


def _manifest(url: str, tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> bytes:
    first = next(members, None)
    if first is None or first.name != MANIFEST_FILE or first.size > _MAX_MANIFEST_BYTES:
        raise DataError(
            f"does not begin with {MANIFEST_FILE}; export it again with `prepare --export`",
            path=url,
        )
    return _content(tar, first).read()


def _extract(
    url: str,
    tar: tarfile.TarFile,
    members: Iterator[tarfile.TarInfo],
    folder: Path,
    hashes: dict[str, str],
) -> None:
    """Write what the manifest names, and nothing else: a member with any other path is refused."""
    missing = dict(hashes)
    for member in members:
        expected = missing.pop(member.name, None)
        if expected is None and member.name != REPORT_FILE:
            raise DataError(
                f"holds {member.name!r}, which its manifest does not name; do not trust it",
                path=url,
            )
        if expected not in (None, _write(_content(tar, member), folder / member.name)):
            raise DataError(
                f"{member.name} does not have its sha256; copy or export the archive again",
                path=url,
            )
    if missing:
        raise DataError(f"lacks {min(missing)}; copy or export the archive again", path=url)


def _hashes(manifest: PreparedManifest) -> dict[str, str]:
    """Map each data file to its sha256; a name with a folder in it is no name of ours."""
    hashes = {shard.file: shard.sha256 for shard in manifest.shards}
    hashes |= {shard.index: shard.index_sha256 for shard in manifest.shards}
    for name in hashes:
        if Path(name).name != name or name in ("..", MANIFEST_FILE, REPORT_FILE):
            raise DataError(
                f"the manifest names a file outside the corpus: {name!r}; do not trust it"
            )
    return hashes


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    content = tar.extractfile(member) if member.isfile() else None
    if content is None:
        raise tarfile.ReadError(f"{member.name} is not a file")
    return content  # type: ignore[return-value]


def _write(content: BinaryIO, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while block := content.read(_COPY_BYTES):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _add(tar: tarfile.TarFile, filesystem: Any, path: str) -> None:
    member = tarfile.TarInfo(Path(path).name)
    try:
        member.size = filesystem.size(path)
        with filesystem.open(path, "rb") as file:
            tar.addfile(member, file)
    except FileNotFoundError as error:
        raise DataError("is missing; prepare the corpus again", path=path) from error
