"""The API's error envelope, turned back into the typed error that made it."""

from collections.abc import Iterator

import httpx

from services.client.answers import WRONG_ADDRESS
from services.contract.errors import (
    BusyError,
    InvalidApiKeyError,
    RequestError,
    ServiceError,
    SttError,
    TranscriptionError,
    UploadTooLargeError,
)
from services.contract.schema import ErrorInfo

DEFAULT_RETRY_AFTER_S = 2.0


def from_response(response: httpx.Response) -> SttError:
    """Return the error that an answer of status 400 and above stands for.

    A code this client does not know becomes the nearest branch of the tree: RequestError below
    500, ServiceError from there on.
    """
    try:
        error = response.json()["error"]
        code, message, param = error.get("code"), str(error["message"]), error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _from_status(response)
    kind = _kinds().get(code)
    if kind is None:
        kind = RequestError if response.status_code < 500 else ServiceError
    if issubclass(kind, BusyError):
        return kind(message, retry_after_s=retry_after_s(response), param=param)
    return kind(message, param=param)


def of_job(error: ErrorInfo) -> SttError:
    """Return the error that a job ended with."""
    kind = _kinds().get(error.code, TranscriptionError)
    is_plain = not issubclass(kind, BusyError)
    return kind(error.message) if is_plain else TranscriptionError(error.message)


def retry_after_s(response: httpx.Response) -> float:
    """Return the seconds that the answer asks to wait, with a default."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return DEFAULT_RETRY_AFTER_S


def _from_status(response: httpx.Response) -> SttError:
    """Describe an answer without our envelope: a proxy's, or another server's."""
    told = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return InvalidApiKeyError(f"{told}; give a key in STT_API_KEY")
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return BusyError(told, retry_after_s=retry_after_s(response))
    if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return UploadTooLargeError(f"{told}; a proxy before the API lets no file so large through")
    if response.status_code < 500:
        return ServiceError(f"{told}; {WRONG_ADDRESS}")
    return ServiceError(told)


def _kinds() -> dict[str, type[SttError]]:
    """Map every code to its class; a leaf wins over its base, which may share its code."""
    return {kind.code: kind for kind in _walk(SttError)}


def _walk(kind: type[SttError]) -> Iterator[type[SttError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _walk(child)
