import json

import httpx
import pytest

from services.client.error_answers import from_response
from services.contract.errors import (
    BusyError,
    InvalidApiKeyError,
    InvalidRequestError,
    QueueFullError,
    RequestError,
    ServiceError,
    StoreFullError,
    SttError,
    UnsupportedAudioError,
    UploadTooLargeError,
)

REQUEST = httpx.Request("GET", "http://stt.example/v1/jobs")


def answer(status: int, code: str | None, **headers: str) -> httpx.Response:
    body = {"error": {"message": "told", "type": "t", "param": "language", "code": code}}
    return httpx.Response(status, content=json.dumps(body), headers=headers, request=REQUEST)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported_audio", UnsupportedAudioError),
        ("store_full", StoreFullError),
        ("invalid_api_key", InvalidApiKeyError),
        ("invalid_request", InvalidRequestError),
    ],
)
def test_a_code_gives_its_error(code: str, kind: type[SttError]) -> None:
    error = from_response(answer(400, code))
    assert type(error) is kind
    assert (error.message, error.param) == ("told", "language")


def test_a_busy_answer_keeps_its_pause() -> None:
    error = from_response(answer(429, "queue_full", **{"retry-after": "7"}))
    assert isinstance(error, QueueFullError)
    assert error.retry_after_s == 7


@pytest.mark.parametrize(("status", "kind"), [(418, RequestError), (500, ServiceError)])
def test_an_unknown_code_gives_the_nearest_branch(status: int, kind: type[SttError]) -> None:
    assert type(from_response(answer(status, "from_the_future"))) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, ServiceError),
        (401, InvalidApiKeyError),
        (404, ServiceError),
        (413, UploadTooLargeError),
        (429, BusyError),
        (502, ServiceError),
    ],
)
@pytest.mark.parametrize("body", ["<html>nginx</html>", "[]", '{"detail": "x"}', '{"error": "x"}'])
def test_an_answer_of_another_server_is_explained(
    status: int, kind: type[SttError], body: str
) -> None:
    error = from_response(httpx.Response(status, content=body, request=REQUEST))
    assert type(error) is kind
    assert "http://stt.example/v1/jobs" in error.message
