"""Tar shards of a prepared corpus: written with equal bytes each time, read at any clip in O(1).

A shard holds `ID.flac` (16 kHz, mono, 16 bit) and `ID.json` per clip, in id order, without times
or owners. The JSONL index beside it says where each FLAC lies, so that a reader neither scans tars
nor keeps them open.
"""

import dataclasses
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Self

import fsspec
import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import ValidationError

from services.contract.errors import DataError
from training.prepare.archive import is_archive, unpack
from training.prepare.manifest import MANIFEST_FILE, PreparedManifest, ShardEntry
from training.storage import STORAGE_ERRORS

SAMPLE_RATE = 16_000
_UNREADABLE: tuple[type[Exception], ...] = (*STORAGE_ERRORS, ValueError)


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One clip of a prepared corpus: what was said, by whom, and where its FLAC lies."""

    id: str
    text: str
    duration_s: float
    speaker: str
    """Opaque name, empty when the source does not know it."""
    split: str
    shard: str
    offset: int
    """First byte of the FLAC file inside the shard."""
    n_bytes: int
    start_s: float | None
    """Where speech starts within the clip, None when no speech stood out from the noise."""
    end_s: float | None
    audio_sha256: str
    """Of the source audio, as released."""
    domain: str = ""
    """What the sentence is about, empty when the source does not say."""


class ShardWriter:
    """Writes one shard under a temporary name; `close` gives it its name and its entry.

    Args:
        folder: where the shard and its index go.
        name: file name without suffix, such as `train-00000`.
        split: the split that all its clips belong to.
    """

    def __init__(self, folder: Path, name: str, split: str) -> None:
        self._tar_path = folder / f"{name}.tar"
        self._index_path = folder / f"{name}.jsonl"
        self._split = split
        self._file = _HashedFile(_partial(self._tar_path))
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)  # type: ignore[call-overload]
        self._index: list[bytes] = []

    def add(self, flac: bytes, facts: dict[str, Any]) -> None:
        """Append one clip.

        Args:
            flac: the encoded FLAC file.
            facts: `Clip`'s fields but split, shard, offset and n_bytes.
        """
        self._append(f"{facts['id']}.flac", flac)
        # Data is padded to 512 bytes, and the tar's offset stands behind the padding.
        offset = self._tar.offset - -(-len(flac) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        self._append(f"{facts['id']}.json", to_json(facts))
        self._index.append(to_json({**facts, "offset": offset, "n_bytes": len(flac)}))

    def close(self) -> ShardEntry:
        """Sync both files to disk, then give them their names: a named shard is a complete one."""
        self._tar.close()
        self._file.close()
        index = b"".join(self._index)
        write_synced(_partial(self._index_path), index)
        os.replace(_partial(self._tar_path), self._tar_path)
        os.replace(_partial(self._index_path), self._index_path)
        return ShardEntry(
            file=self._tar_path.name,
            index=self._index_path.name,
            split=self._split,
            sha256=self._file.sha256,
            index_sha256=hashlib.sha256(index).hexdigest(),
            n_bytes=self._tar_path.stat().st_size,
            n_clips=len(self._index),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no open file behind; an unfinished shard keeps its temporary name."""
        self._file.close()

    def _append(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # mtime, uid and gid are 0, the mode is 644
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


class PreparedCorpus:
    """A prepared corpus in a folder or at an fsspec URL; without open files, so it pickles."""

    def __init__(self, url: str, manifest: PreparedManifest, manifest_sha256: str) -> None:
        self.url = url
        self.manifest = manifest
        self.manifest_sha256 = manifest_sha256

    @classmethod
    def open(cls, url_or_path: str | Path, *, cache_dir: Path | None = None) -> Self:
        """Read the manifest.

        Args:
            url_or_path: a prepared folder, an fsspec URL of one, or a `prepared.tar.gz`.
            cache_dir: where archives are unpacked, once; by default `~/.cache/whisper-sv/prepared`.
        Raises:
            DataError: nothing prepared is there, or an archive is damaged.
        """
        url = str(url_or_path).rstrip("/")
        if is_archive(url):
            url = str(unpack(url, cache_dir))
        raw = _read(url, MANIFEST_FILE)
        try:
            manifest = PreparedManifest.model_validate_json(raw)
        except ValidationError as error:
            raise DataError(
                "not a manifest this version reads; prepare the corpus again",
                path=f"{url}/{MANIFEST_FILE}",
            ) from error
        return cls(url, manifest, hashlib.sha256(raw).hexdigest())

    def clips(self, split: str) -> list[Clip]:
        """List the clips of a split in id order; empty when there is no such split.

        Raises:
            DataError: an index does not have the hash that the manifest gives.
        """
        shards = [shard for shard in self.manifest.shards if shard.split == split]
        clips = [clip for shard in shards for clip in self._index(shard)]
        return sorted(clips, key=lambda clip: clip.id)

    def samples(self, clip: Clip) -> NDArray[np.float32]:
        """Decode one clip.

        Returns:
            mono audio at 16 kHz in [-1, 1], shape (n_samples,).
        Raises:
            DataError: the shard is missing or damaged.
        """
        flac = _read(self.url, clip.shard, clip.offset, clip.offset + clip.n_bytes)
        try:
            samples: NDArray[np.float32] = soundfile.read(io.BytesIO(flac), dtype="float32")[0]
        except soundfile.LibsndfileError as error:
            raise DataError(
                f"clip {clip.id} is damaged; copy or prepare the corpus again",
                path=f"{self.url}/{clip.shard}",
            ) from error
        return samples

    def _index(self, shard: ShardEntry) -> Iterable[Clip]:
        raw = _read(self.url, shard.index)
        if hashlib.sha256(raw).hexdigest() != shard.index_sha256:
            raise DataError(
                "its sha256 is not the manifest's; copy or prepare the corpus again",
                path=f"{self.url}/{shard.index}",
            )
        for line in raw.splitlines():
            yield Clip(split=shard.split, shard=shard.file, **json.loads(line))


class _HashedFile:
    """A file that is only appended to, and its sha256."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def to_json(value: Any) -> bytes:
    """Write a value as one JSON line, the same bytes each time."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _read(url: str, name: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read (a range of) one file; looked up anew, as fsspec keeps a filesystem per process."""
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
        data: bytes = filesystem.cat_file(f"{root}/{name}", start=start, end=end)
    except _UNREADABLE as error:
        raise DataError(
            "cannot be read; give a folder, URL or archive that `prepare` made",
            path=f"{url}/{name}",
        ) from error
    return data
