"""From the request's stream to the audio store, without ever holding a recording in memory.

The body is read piece by piece, hashed and bounded on the way. Whatever goes wrong, and if the
client goes away, nothing stays in the store.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from services.api.filenames import clean_filename
from services.api.multipart_form import MultipartForm
from services.contract.audio_store import AudioStore, RecordingWriter, new_key
from services.contract.errors import (
    AudioStoreError,
    EmptyAudioError,
    InvalidRequestError,
    StoreFullError,
    UnsupportedMediaTypeError,
    UploadAbortedError,
    UploadTimeoutError,
    UploadTooLargeError,
)
from services.contract.settings import ApiSettings

#: A thread is asked to write once so much has come: few hops, little memory.
FLUSH_BYTES = 4 * 1024**2
#: Or so many pieces: a tiny one costs some 350 bytes of memory beside its own.
FLUSH_PIECES = 4096
#: What a form may weigh beside its file.
FORM_OVERHEAD_BYTES = 1024**2
#: The first bytes of a recording, for the look at its header.
HEAD_BYTES = 4096
_RAW_TYPES = re.compile(r"^(audio/|video/|application/octet-stream$|application/ogg$)")
_MEDIA_TYPE = re.compile(r"^(audio|video)/[\w.+-]{1,80}$", re.ASCII)
OCTETS = "application/octet-stream"


class RawBody:
    """A body that is nothing but the recording; its fields are in the query."""

    def __init__(self, request: Request) -> None:
        """Take name and type from the request."""
        self.pairs: list[tuple[str, str]] = []
        self.filename = clean_filename(request.query_params.get("filename", ""))
        self.content_type = request.headers.get("content-type", "")

    def feed(self, chunk: bytes) -> list[memoryview]:
        """Return the bytes of the recording in a piece of the body."""
        return [memoryview(chunk)]

    def finish(self) -> None:
        """Nothing can be missing."""


Body = MultipartForm | RawBody


@asynccontextmanager
async def uploaded(
    request: Request, store: AudioStore, settings: ApiSettings, *, allow_raw: bool
) -> AsyncIterator["Upload"]:
    """Receive a recording; on leaving, nothing of it stays unless it `is_kept`.

    Raises:
        UnsupportedMediaTypeError · InvalidRequestError · UploadTooLargeError · UploadTimeoutError
        UploadAbortedError · EmptyAudioError · StoreFullError · AudioStoreError
    """
    check_length(request, settings.max_upload_bytes)
    body = body_of(request, allow_raw=allow_raw)
    upload = Upload(store, settings.max_upload_bytes)
    try:
        await _receive(request, body, upload, settings)
        yield upload
    finally:
        if not upload.is_kept:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(upload.discard)


def body_of(request: Request, *, allow_raw: bool) -> Body:
    """Choose how to read the body.

    Raises:
        UnsupportedMediaTypeError: there is no way to read its content type.
    """
    content_type = request.headers.get("content-type", "")
    plain = content_type.split(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("Send the body as it is, without a Content-Encoding.")
    if plain == "multipart/form-data":
        return MultipartForm(content_type)
    if allow_raw and _RAW_TYPES.match(plain):
        return RawBody(request)
    other = ", or the bytes themselves as audio/* or application/octet-stream" if allow_raw else ""
    raise UnsupportedMediaTypeError(f"Send the recording as multipart/form-data{other}.")


def check_length(request: Request, max_bytes: int) -> None:
    """Refuse a body that says itself that it is too large.

    Raises:
        UploadTooLargeError: Content-Length is above the limit.
        InvalidRequestError: Content-Length is not a number.
    """
    stated = request.headers.get("content-length")
    if stated is None:
        return
    if not (stated.isascii() and stated.isdigit()):
        raise InvalidRequestError("Content-Length is not a number.")
    if int(stated) > max_bytes + FORM_OVERHEAD_BYTES:
        raise _too_large(max_bytes)


async def _receive(request: Request, body: Body, upload: "Upload", settings: ApiSettings) -> None:
    """Read the whole body under one clock with two deadlines: idle and total."""
    now = asyncio.get_running_loop().time
    idle_s, latest = settings.upload_idle_timeout_s, now() + settings.upload_timeout_s
    try:
        # Not asyncio.timeout: a thread that is writing must have ended before the file is dropped.
        with anyio.CancelScope(deadline=min(latest, now() + idle_s)) as clock:
            async for chunk in request.stream():
                if upload.take(body.feed(chunk)):
                    clock.deadline = latest
                    await to_thread.run_sync(upload.flush)
                clock.deadline = min(latest, now() + idle_s)
    except ClientDisconnect as error:
        raise UploadAbortedError("The client went away during the upload.") from error
    if clock.cancelled_caught:
        was_slow = now() >= latest
        limit_s = settings.upload_timeout_s if was_slow else idle_s
        what = "took longer than" if was_slow else "sent nothing for"
        raise UploadTimeoutError(f"The upload {what} {limit_s:g} s.")
    body.finish()
    if not upload.n_bytes:
        raise EmptyAudioError("The file is empty.", param="file")
    # A form may have fields in its query too; what stands in the form wins.
    upload.pairs = [*request.query_params.multi_items(), *body.pairs]
    upload.filename = body.filename
    upload.content_type = media_type(body.content_type)


class Upload:
    """A recording on its way into the store: `take` on the event loop, the rest in threads."""

    def __init__(self, store: AudioStore, max_bytes: int) -> None:
        """Begin with nothing."""
        self.key = new_key()
        self.pairs: list[tuple[str, str]] = []
        """The fields that came with it."""
        self.filename = ""
        self.content_type = OCTETS
        self.n_bytes = 0
        self.head = bytearray()
        """Its first bytes."""
        self.is_kept = False
        """Set it once a job owns the recording, or may; else it is deleted again."""
        self._store = store
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._writer: RecordingWriter | None = None
        self._parts: list[memoryview] = []
        self._n_waiting = 0
        self._is_committed = False

    def take(self, parts: list[memoryview]) -> bool:
        """Keep bytes; return whether it is time to flush."""
        for part in parts:
            self.n_bytes += len(part)
            self._n_waiting += len(part)
            if len(self.head) < HEAD_BYTES:
                self.head += part[: HEAD_BYTES - len(self.head)]
        if self.n_bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._parts += parts
        return self._n_waiting >= FLUSH_BYTES or len(self._parts) >= FLUSH_PIECES

    def flush(self) -> RecordingWriter:
        """Write what was kept."""
        if self._writer is None:
            self._writer = self._store.writer(self.key)
        data = b"".join(self._parts)
        self._parts.clear()
        self._n_waiting = 0
        self._digest.update(data)
        self._writer.write(data)
        return self._writer

    def commit(self) -> str:
        """Make the recording durable, once; return its SHA-256."""
        if not self._is_committed:
            self.flush().commit()
            self._is_committed = True
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Leave nothing behind; what a broken store keeps, the sweep removes later."""
        with suppress(AudioStoreError, StoreFullError):
            if self._writer is not None:
                self._writer.abort()
                self._store.delete(self.key)


def media_type(stated: str) -> str:
    """Return a content type that is safe to send back: audio or video, or plain octets."""
    plain = stated.split(";")[0].strip().lower()
    return plain if _MEDIA_TYPE.match(plain) else OCTETS


def _too_large(max_bytes: int) -> UploadTooLargeError:
    return UploadTooLargeError(
        f"The recording is larger than {readable(max_bytes)}, the most that this service takes.",
        param="file",
    )


def readable(n_bytes: int) -> str:
    """Return a size as people read it: 2 GiB, 1.5 MiB."""
    for name, unit in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if n_bytes >= unit:
            return f"{round(n_bytes / unit, 1):g} {name}"
    return f"{n_bytes} bytes"
