"""Where recordings are kept: a folder, a bucket, or memory in tests, by one fsspec URL.

A recording appears under its key complete or not at all: folders write to a temporary name in the
same folder, sync it and rename; buckets use a multipart upload that is completed or aborted. Keys
are made here, never from what a client sent. Sync code: async callers use a thread.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from services.contract.errors import AudioStoreError, SettingsError
from services.contract.recording_files import (
    GONE,
    Attempt,
    BucketFile,
    LocalFile,
    RemoteReader,
    StagedFile,
    abort_old_uploads,
    store_errors,
)

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
#: What a reader of a bucket fetches ahead, and holds up to three times; s3fs's own is 50 MB.
READ_BYTES = 4 * 1024 * 1024
#: How long one try at a bucket may take, in seconds, instead of a minute: a thread hangs meanwhile
#: that other callers need. How often it is tried is the operator's to say, by AWS_MAX_ATTEMPTS.
S3_TIMEOUTS = {"connect_timeout": 5, "read_timeout": 20}
PROBE = b"whisper-sv can write here\n"


def new_key() -> str:
    """Make a key that nobody can guess."""
    return uuid4().hex


def once(read: Callable[[int], bytes], n_bytes: int) -> bytes:
    """Read without a second try."""
    return read(n_bytes)


class PendingFile(Protocol):
    """A file that becomes visible at `commit` and leaves nothing after `abort`."""

    def write(self, data: bytes) -> None:
        """Append."""

    def commit(self) -> None:
        """Make all that was written durable and visible, at once."""

    def abort(self) -> None:
        """Leave nothing behind."""


class RecordingWriter:
    """One upload: leaving the `with` block without `commit` leaves nothing in the store."""

    def __init__(self, pending: PendingFile) -> None:
        """Wrap the file that the store opened."""
        self._pending = pending
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            StoreFullError: no space left.
            AudioStoreError: the store cannot be written.
        """
        with store_errors(is_writing=True):
            self._pending.write(data)

    def commit(self) -> None:
        """Make the recording durable and visible under its key. Raises as `write`."""
        with store_errors(is_writing=True):
            self._pending.commit()
        self._is_open = False

    def abort(self) -> None:
        """Drop what was written; harmless after commit."""
        if self._is_open:
            self._is_open = False
            with store_errors(is_writing=True):
                self._pending.abort()

    def __enter__(self) -> "RecordingWriter":
        """Return self."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Abort unless committed; the error that led here stays the one that is seen."""
        try:
            self.abort()
        except AudioStoreError:
            if error is None:
                raise


class AudioStore:
    """Recordings by key. Methods raise AudioStoreError when the store does not answer."""

    def __init__(self, url: str) -> None:
        """Open the store; a local folder is made if it is missing.

        Raises:
            SettingsError: the URL names no store that fsspec can open.
            AudioStoreError: the folder cannot be made.
        """
        self.url = url
        try:
            timeouts = {"config_kwargs": S3_TIMEOUTS} if url.startswith("s3:") else {}
            self._fs, root = fsspec.url_to_fs(local_url(url), **timeouts)
        except (ValueError, ImportError, OSError) as error:
            raise SettingsError(f"STT_AUDIO_STORE_URL: {error}") from error
        self._root = root.rstrip("/")
        if not self._root:
            raise SettingsError("STT_AUDIO_STORE_URL names no folder or bucket")
        self._is_local = isinstance(self._fs, LocalFileSystem)
        if self._is_local:
            with store_errors(is_writing=True):
                Path(self._root).mkdir(parents=True, exist_ok=True)

    def writer(self, key: str) -> RecordingWriter:
        """Begin a recording: use as a context manager, write, then commit."""
        path = self._path(key)
        with store_errors(is_writing=True):
            if self._is_local:
                return RecordingWriter(LocalFile(Path(path)))
            if "s3" in self._protocols():
                return RecordingWriter(BucketFile(self._fs, path))
            return RecordingWriter(StagedFile(self._fs, path))

    def open(self, key: str, attempt: Attempt = once) -> BinaryIO:
        """Open a recording for reading: binary, seekable; the caller closes it.

        Args:
            attempt: calls each read of a bucket; one that raised may be called again.
        Raises:
            AudioExpiredError: there is no such recording any more. So do reads.
        """
        path = self._readable(key)
        with store_errors():
            if "memory" in self._protocols():
                # All readers of fsspec's memory files share one position.
                return BytesIO(self._fs.cat_file(path))
            file = self._fs.open(path, "rb", block_size=READ_BYTES)
        return file if self._is_local else cast(BinaryIO, RemoteReader(file, attempt))

    def local_path(self, key: str) -> Path | None:
        """Return the recording's own file, if the store is a folder."""
        return Path(self._path(key)) if self._is_local else None

    def size(self, key: str) -> int:
        """Return the size in bytes. Raises AudioExpiredError if it is gone."""
        with store_errors():
            return int(self._info(key)["size"])

    def exists(self, key: str) -> bool:
        """Tell whether there is such a recording."""
        path = self._readable(key)
        with store_errors():
            self._fs.invalidate_cache()
            return bool(self._fs.exists(path))

    def delete(self, key: str) -> None:
        """Delete a recording; one that is gone already is fine."""
        path = self._readable(key)
        with store_errors():
            try:
                self._fs.rm_file(path)
            except FileNotFoundError:
                return

    def keys(self, *, older_than_s: float = 0.0) -> Iterator[str]:
        """Yield the keys of recordings that were committed at least so long ago."""
        latest = time.time() - older_than_s
        with store_errors():
            self._fs.invalidate_cache()
            entries = self._fs.ls(self._root, detail=True) if self._fs.exists(self._root) else []
        for entry in entries:
            name = entry["name"].rsplit("/", 1)[-1]
            if entry["type"] == "file" and KEY.fullmatch(name) and modified_at(entry) <= latest:
                yield name

    def sweep_unfinished(self, older_than_s: float) -> int:
        """Remove what crashed uploads left behind; return how many there were."""
        latest = time.time() - older_than_s
        with store_errors():
            if "s3" in self._protocols():
                return abort_old_uploads(self._fs, self._root, latest)
            entries = self._fs.ls(self._root, detail=True) if self._fs.exists(self._root) else []
            stale = [e["name"] for e in entries if is_unfinished(e) and modified_at(e) <= latest]
            for path in stale:
                self._fs.rm_file(path)
        return len(stale)

    def check(self) -> None:
        """Write and delete a few bytes: raises what an upload would raise."""
        key = f"check-{new_key()}"
        with self.writer(key) as probe:
            probe.write(PROBE)
            probe.commit()
        self.delete(key)

    def _path(self, key: str) -> str:
        if not KEY.fullmatch(key):
            raise AudioStoreError(f"{key[:64]!r} is not a key of the audio store.")
        return f"{self._root}/{key}"

    def _readable(self, key: str) -> str:
        """Return a key's path in a folder that is there: on a lost mount nothing has expired."""
        if self._is_local and not os.path.isdir(self._root):
            raise AudioStoreError(GONE)
        return self._path(key)

    def _info(self, key: str) -> dict[str, Any]:
        self._fs.invalidate_cache()
        return cast(dict[str, Any], self._fs.info(self._readable(key)))

    def _protocols(self) -> tuple[str, ...]:
        protocol = self._fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def local_url(url: str) -> str:
    """Make `file://./data` mean a folder below the working directory, as people expect."""
    if not url.startswith("file://"):
        return url
    parts = urlsplit(url)
    return os.path.abspath(unquote(parts.netloc + parts.path))


def modified_at(entry: dict[str, Any]) -> float:
    """Return when an entry of a listing was written, in seconds since 1970."""
    moment = entry.get("mtime") or entry.get("LastModified") or entry.get("created") or 0.0
    return float(moment) if isinstance(moment, int | float) else float(moment.timestamp())


def is_unfinished(entry: dict[str, Any]) -> bool:
    """Whether an entry of a listing is the temporary file of an upload."""
    name = entry["name"].rsplit("/", 1)[-1]
    return bool(name.startswith(".") and name.endswith(".part"))
