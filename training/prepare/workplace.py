"""Where a run of prepare keeps what it has done, so that a killed one continues.

The corpus is built in its own folder, shard by shard; `.partial` beside the shards says what they
were made from and holds one record per finished shard. A manifest appears when all is there, and
`.partial` goes. A corpus for a remote URL is built in a scratch folder and uploaded, manifest last.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from pydantic import BaseModel

from services.contract.errors import DataError, OutputError
from training.prepare.manifest import MANIFEST_FILE, PreparedManifest, ShardEntry
from training.prepare.rows import Drop
from training.prepare.shards import write_synced
from training.storage import STORAGE_ERRORS

_PARTIAL = ".partial"


class ShardRecord(BaseModel):
    """What finished work on one shard gave."""

    shard: ShardEntry
    drops: list[Drop]


class Workplace:
    """The folder of one corpus while it is made."""

    def __init__(self, out_url: str, scratch_dir: Path | None) -> None:
        self.out_url = out_url.rstrip("/")
        try:
            self._filesystem, self._root = fsspec.core.url_to_fs(self.out_url)
        except (ValueError, ImportError) as error:  # no such protocol, or its package is missing
            raise OutputError(f"{self.out_url} cannot be used: {error}") from error
        self.is_remote = "file" not in _protocols(self._filesystem)
        name = f"whisper-sv-prepare-{hashlib.sha256(self.out_url.encode()).hexdigest()[:12]}"
        scratch = (scratch_dir or Path(tempfile.gettempdir())) / name
        self.folder = scratch if self.is_remote else Path(self._root)
        self.partial = self.folder / _PARTIAL
        self.source = self.partial / "source"
        self._records = self.partial / "shards"
        self._plan_file = self.partial / "plan"

    def open(self) -> None:
        """Make the folders and claim them for this process, until `release` or its end.

        Raises:
            DataError: the folder holds something that prepare did not make, or another process
                works there.
        """
        known = self.partial.exists() or (self.folder / MANIFEST_FILE).exists()
        if not known and self.folder.exists() and any(self.folder.iterdir()):
            raise DataError(
                "is not empty and holds no prepared corpus; choose another folder",
                path=str(self.folder),
            )
        self._records.mkdir(parents=True, exist_ok=True)
        self.source.mkdir(exist_ok=True)
        self._lock = (self.partial / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DataError(
                "another prepare is at work there; wait until it has ended", path=self.out_url
            ) from error

    def finished(self) -> PreparedManifest | None:
        """Read the manifest of the corpus that is already at the target, if there is one."""
        try:
            raw = self._filesystem.cat_file(f"{self._root}/{MANIFEST_FILE}")
        except FileNotFoundError:
            return None
        return PreparedManifest.model_validate_json(raw)

    def has_shards(self, manifest: PreparedManifest) -> bool:
        """Tell whether every shard of a corpus is at the target in its full size."""
        files = ((f"{self._root}/{shard.file}", shard.n_bytes) for shard in manifest.shards)
        return all(
            self._filesystem.exists(file) and self._filesystem.size(file) == n_bytes
            for file, n_bytes in files
        )

    def begin(self, plan_sha256: str) -> None:
        """Take up the work on a plan; what an earlier run did for another plan is removed."""
        earlier = self._plan_file.read_text() if self._plan_file.exists() else ""
        if earlier == plan_sha256:
            return
        for path in self._records.glob("*.json"):
            self._discard(path)
        write_synced(self._plan_file, plan_sha256.encode())

    def record(self, name: str) -> ShardRecord | None:
        """Read what an earlier run recorded of a shard, if it finished it."""
        path = self._records / f"{name}.json"
        return ShardRecord.model_validate_json(path.read_bytes()) if path.exists() else None

    def keep(self, name: str, record: ShardRecord) -> None:
        """Record a finished shard: from here on no run makes it again."""
        self._write(self._records / f"{name}.json", record.model_dump_json().encode())

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Write a JSON file of the corpus in one step."""
        text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
        self._write(self.folder / name, text.encode())

    def upload(self, names: list[str]) -> None:
        """Copy files to a remote target, in the given order."""
        if self.is_remote:
            self._filesystem.makedirs(self._root, exist_ok=True)
            for name in names:
                self._filesystem.put_file(str(self.folder / name), f"{self._root}/{name}")

    def remove(self, manifest: PreparedManifest) -> None:
        """Remove a corpus at the target, manifest first."""
        files = [name for shard in manifest.shards for name in (shard.file, shard.index)]
        for name in (MANIFEST_FILE, *files):
            if self._filesystem.exists(f"{self._root}/{name}"):
                self._filesystem.rm_file(f"{self._root}/{name}")

    def close(self) -> None:
        """Remove what only an unfinished run needs."""
        shutil.rmtree(self.folder if self.is_remote else self.partial, ignore_errors=True)

    def release(self) -> None:
        """Give up the claim; what is unfinished stays for the next run."""
        self._lock.close()

    def _discard(self, path: Path) -> None:
        for suffix in (".tar", ".jsonl"):
            (self.folder / path.stem).with_suffix(suffix).unlink(missing_ok=True)
        path.unlink()

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(path.name + ".part")
        write_synced(partial, data)
        partial.replace(path)


@contextmanager
def reading(source: Path) -> Iterator[None]:
    """Turn a failure to read or unpack a source into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot be read or unpacked: {error.strerror or error} ({error.filename});"
            " make room or mend it and run again",
            path=str(source),
        ) from error


@contextmanager
def writing(out_url: str) -> Iterator[None]:
    """Turn a failure to write into an error that says what to do."""
    try:
        yield
    except STORAGE_ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{out_url} cannot be written: {reason}; make room or choose another"
            " place and run again: it continues where it stopped"
        ) from error


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
