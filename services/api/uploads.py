"""From the request's stream to the audio store, without ever holding a recording in memory.

The body is read piece by piece, hashed and bounded on the way. Whatever goes wrong, and if the
client goes away, nothing stays in the store.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio import to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from services.api.multipart_form import MultipartForm, clean_filename
from services.contract.audio_store import AudioStore, RecordingWriter, new_key
from services.contract.errors import (
    AudioStoreError,
    EmptyAudioError,
    InvalidRequestError,
    UnsupportedMediaTypeError,
    UploadAbortedError,
    UploadTimeoutError,
    UploadTooLargeError,
)
from services.contract.settings import ApiSettings

#: A thread is asked to write once so much has come: few hops, little memory.
FLUSH_BYTES = 1024**2
#: What a form may weigh beside its file.
FORM_OVERHEAD_BYTES = 1024**2
#: The first bytes of a recording, for the look at its header.
HEAD_BYTES = 4096
_RAW_TYPES = re.compile(r"^(audio/|video/|application/octet-stream$|application/ogg$)")
_MEDIA_TYPE = re.compile(r"^(audio|video)/[\w.+-]{1,80}$", re.ASCII)
OCTETS = "application/octet-stream"


@dataclass
class Upload:
    """A recording that is in the store, and the fields that came with it."""

    key: str
    sha256: str
    n_bytes: int
    head: bytes
    filename: str
    content_type: str
    pairs: list[tuple[str, str]] = field(default_factory=list)
    is_kept: bool = False
    """Set it once a job owns the recording; else it is deleted again."""


class RawBody:
    """A body that is nothing but the recording; its fields are in the query."""

    def __init__(self, request: Request) -> None:
        """Take fields and type from the request."""
        self.pairs = list(request.query_params.multi_items())
        self.filename = clean_filename(request.query_params.get("filename", ""))
        self.content_type = request.headers.get("content-type", "")

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the bytes of the recording in a piece of the body."""
        return [chunk]

    def finish(self) -> None:
        """Nothing can be missing."""


Body = MultipartForm | RawBody


@asynccontextmanager
async def uploaded(
    request: Request, store: AudioStore, settings: ApiSettings, *, allow_raw: bool
) -> AsyncIterator[Upload]:
    """Receive a recording; on leaving, delete it unless it `is_kept`.

    Raises:
        UnsupportedMediaTypeError · InvalidRequestError · UploadTooLargeError · UploadTimeoutError
        UploadAbortedError · EmptyAudioError · StoreFullError · AudioStoreError
    """
    check_length(request, settings.max_upload_bytes)
    body = body_of(request, allow_raw=allow_raw)
    upload = await _receive(request, body, store, settings)
    try:
        yield upload
    finally:
        if not upload.is_kept:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(store.delete, upload.key)


def body_of(request: Request, *, allow_raw: bool) -> Body:
    """Choose how to read the body.

    Raises:
        UnsupportedMediaTypeError: there is no way to read its content type.
    """
    content_type = request.headers.get("content-type", "")
    plain = content_type.split(";")[0].strip().lower()
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


async def _receive(
    request: Request, body: Body, store: AudioStore, settings: ApiSettings
) -> Upload:
    sink = _Sink(store, settings.max_upload_bytes)
    try:
        # Not asyncio.timeout: a thread that is writing must have ended before the file is dropped.
        with anyio.fail_after(settings.upload_timeout_s):
            await _fill(sink, body, _chunks(request, settings.upload_idle_timeout_s))
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(sink.discard)
        if isinstance(error, TimeoutError):
            took = f"The upload took longer than {settings.upload_timeout_s:g} s."
            raise UploadTimeoutError(took) from error
        if isinstance(error, ClientDisconnect):
            raise UploadAbortedError("The client went away during the upload.") from error
        raise
    return Upload(
        key=sink.key,
        sha256=sink.digest.hexdigest(),
        n_bytes=sink.n_bytes,
        head=bytes(sink.head),
        filename=body.filename,
        content_type=media_type(body.content_type),
        pairs=body.pairs,
    )


async def _fill(sink: "_Sink", body: Body, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        if sink.take(body.feed(chunk)):
            await to_thread.run_sync(sink.flush)
    body.finish()
    await to_thread.run_sync(sink.commit)


async def _chunks(request: Request, idle_timeout_s: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_timeout_s):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise UploadTimeoutError(
                f"The upload sent nothing for {idle_timeout_s:g} s."
            ) from error
        if chunk is None:
            return
        if chunk:
            yield chunk


class _Sink:
    """Collects a recording: `take` on the event loop, the other methods in a thread."""

    def __init__(self, store: AudioStore, max_bytes: int) -> None:
        self.key = new_key()
        self.digest = hashlib.sha256()
        self.n_bytes = 0
        self.head = bytearray()
        self._store = store
        self._max_bytes = max_bytes
        self._writer: RecordingWriter | None = None
        self._parts: list[bytes] = []
        self._n_waiting = 0

    def take(self, parts: list[bytes]) -> bool:
        """Keep bytes; return whether it is time to flush."""
        for part in parts:
            self.n_bytes += len(part)
            self._n_waiting += len(part)
            if len(self.head) < HEAD_BYTES:
                self.head += part[: HEAD_BYTES - len(self.head)]
        if self.n_bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._parts += parts
        return self._n_waiting >= FLUSH_BYTES

    def flush(self) -> None:
        """Write what was kept."""
        if self._writer is None:
            self._writer = self._store.writer(self.key)
        data = b"".join(self._parts)
        self._parts.clear()
        self._n_waiting = 0
        self.digest.update(data)
        self._writer.write(data)

    def commit(self) -> None:
        """Make the recording durable."""
        if not self.n_bytes:
            raise EmptyAudioError("The file is empty.", param="file")
        self.flush()
        if self._writer is not None:
            self._writer.commit()

    def discard(self) -> None:
        """Leave nothing behind; what a broken store keeps, the sweep removes later."""
        with suppress(AudioStoreError):
            if self._writer is not None:
                self._writer.abort()
                self._store.delete(self.key)


def media_type(stated: str) -> str:
    """Return a content type that is safe to send back: audio or video, or plain octets."""
    plain = stated.split(";")[0].strip().lower()
    return plain if _MEDIA_TYPE.match(plain) else OCTETS


def _too_large(max_bytes: int) -> UploadTooLargeError:
    return UploadTooLargeError(f"The recording is larger than {max_bytes} bytes.", param="file")
