"""A recording on its way back to its owner, whole or by one byte range."""

import re
from collections.abc import Iterator
from itertools import chain

from fastapi.responses import Response, StreamingResponse

from services.api.openapi import attachment
from services.contract.audio_store import AudioStore
from services.contract.schema import AudioRef

BLOCK_BYTES = 256 * 1024
_RANGE = re.compile(
    r"^bytes=(?=.*\d)(?P<first>\d{0,18})-(?P<last>\d{0,18})$", re.ASCII | re.IGNORECASE
)


def recording_response(
    store: AudioStore, audio: AudioRef, asked: str | None, *, wants_bytes: bool = True
) -> Response:
    """Return the recording, or the range of it that was asked for; for HEAD only its headers.

    The content type is one of audio/*, video/* or plain octets, and a browser is told to run
    nothing of it: the bytes are a stranger's.

    Raises:
        AudioExpiredError: the recording is no longer kept.
        AudioStoreError: it cannot be read at present.
    """
    size = store.size(audio.key)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        **attachment(audio.filename or "recording", inline=True),
    }
    wanted = byte_range(asked, size)
    if wanted is None:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(status_code=416, headers=headers)
    headers["Content-Length"] = str(len(wanted))
    # Players ask for "0-" to learn whether they can seek: 206 says yes, however much it is.
    is_part = _range_of(asked) is not None
    if is_part:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    return StreamingResponse(
        begun(blocks(store, audio.key, wanted)) if wants_bytes else iter(()),
        status_code=206 if is_part else 200,
        media_type=audio.content_type,
        headers=headers,
    )


def byte_range(asked: str | None, size: int) -> range | None:
    """Return which bytes to send; None if the range lies outside the recording.

    Several ranges at once, one that ends before it begins, or units that are not bytes, give the
    whole, as HTTP asks for.
    """
    match = _range_of(asked)
    if match is None:
        return range(size)
    if not match["first"]:
        found = range(max(0, size - int(match["last"])), size)
    else:
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        found = range(int(match["first"]), last + 1)
    return found if len(found) else None


def _range_of(asked: str | None) -> re.Match[str] | None:
    match = _RANGE.match(asked or "")
    if match and match["first"] and match["last"] and int(match["first"]) > int(match["last"]):
        return None
    return match


def begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Fetch the first part at once: a store that fails then can still be told as an error."""
    return chain([next(parts, b"")], parts)


def blocks(store: AudioStore, key: str, wanted: range) -> Iterator[bytes]:
    """Yield the bytes of a range, block by block."""
    with store.open(key) as file:
        file.seek(wanted.start)
        left = len(wanted)
        while left and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
