"""How one recording is written on each kind of store, and how its errors become ours."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from services.contract.errors import AudioExpiredError, AudioStoreError, StoreFullError

try:  # botocore comes with the s3 extra; its network errors are no OSErrors
    from botocore.exceptions import BotoCoreError
except ImportError:
    BotoCoreError = OSError

#: What an upload to a bucket holds in memory; a bucket takes 10,000 parts of at least 5 MiB.
BLOCK_BYTES = 8 * 1024 * 1024
GONE = "The audio store's folder or bucket is gone; check STT_AUDIO_STORE_URL."
#: Calls a step that may fail, once or again, and returns what it returned.
Attempt = Callable[[Callable[[int], bytes], int], bytes]
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def store_errors(*, is_writing: bool = False) -> Iterator[None]:
    """Turn what a file system raises into our errors.

    Args:
        is_writing: what is missing is then no recording but the folder or bucket itself.
    Raises:
        AudioExpiredError: the recording is not there.
        StoreFullError: no space or quota left.
        AudioStoreError: anything else that the operating system or the bucket refuses.
    """
    try:
        yield
    except FileNotFoundError as error:
        if is_writing:
            raise AudioStoreError(GONE) from error
        raise AudioExpiredError("The audio is no longer kept; send it again.") from error
    except (OSError, BotoCoreError) as error:
        if getattr(error, "errno", None) in FULL:
            raise StoreFullError("The audio store is full; free space or add more.") from error
        raise AudioStoreError(
            f"The audio store cannot be used ({type(error).__name__}); check STT_AUDIO_STORE_URL."
        ) from error


def part_name(path: str) -> str:
    """Name the temporary file of an upload: same folder, so that renaming it is atomic."""
    folder, _, key = path.rpartition("/")
    return f"{folder}/.{key}.part"


class LocalFile:
    """A temporary file that is synced and renamed, in the folder where it will stay."""

    def __init__(self, path: Path) -> None:
        """Create the temporary file, readable by this user alone."""
        self._path = path
        self._part = Path(part_name(str(path)))
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb")

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def commit(self) -> None:
        """Sync the file, rename it, sync the folder: only then a crash cannot undo it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abort(self) -> None:
        """Remove the temporary file, even if what is buffered no longer fits on the disk."""
        self._part.unlink(missing_ok=True)
        try:
            self._file.close()
        except OSError as error:
            if error.errno not in FULL:
                raise


class BucketFile:
    """A multipart upload: nothing is visible until it is completed."""

    def __init__(self, fs: Any, path: str) -> None:
        """Open without autocommit: closing such a file does not publish it."""
        self._file = fs.open(path, "wb", autocommit=False, block_size=BLOCK_BYTES)

    def write(self, data: bytes) -> None:
        """Append; a full block goes to the bucket."""
        self._file.write(data)

    def commit(self) -> None:
        """Send the rest and complete the upload."""
        self._file.close()
        self._file.commit()

    def abort(self) -> None:
        """Abort the upload; the bucket drops its parts. Closed, lest its finaliser flush."""
        self._file.closed = True
        try:
            self._file.discard()
        except FileNotFoundError:  # the sweeper was here first
            return


class RemoteReader(io.RawIOBase):
    """A recording as it comes from a bucket: that answers at the opening, and may fail later."""

    def __init__(self, file: BinaryIO, attempt: Attempt) -> None:
        """Read from a file that fsspec opened; `attempt` calls each read."""
        self._file = file
        self._attempt = attempt

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, short only at the end. Raises what `store_errors` raises."""
        data = self._attempt(self._read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the next read asks for it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def close(self) -> None:
        """Close both."""
        self._file.close()
        super().close()

    def _read(self, n_bytes: int) -> bytes:
        with store_errors():
            return self._file.read(n_bytes)


class StagedFile:
    """Any other fsspec store: written under a temporary name, then moved."""

    def __init__(self, fs: Any, path: str) -> None:
        """Open the temporary name."""
        self._fs, self._path, self._part = fs, path, part_name(path)
        self._file = fs.open(self._part, "wb")

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def commit(self) -> None:
        """Close and move."""
        self._file.close()
        self._fs.mv(self._part, self._path)

    def abort(self) -> None:
        """Close and remove."""
        self._file.close()
        if self._fs.exists(self._part):
            self._fs.rm_file(self._part)


def abort_old_uploads(fs: Any, root: str, latest: float) -> int:
    """Abort multipart uploads under the root that began before `latest`; return how many."""
    bucket, prefix, _ = fs.split_path(f"{root}/")
    n_aborted = 0
    for upload in fs.list_multipart_uploads(bucket):
        began: datetime = upload["Initiated"]
        if upload["Key"].startswith(prefix) and began.timestamp() <= latest:
            fs.abort_mpu(bucket, upload["Key"], upload["UploadId"])
            n_aborted += 1
    return n_aborted
