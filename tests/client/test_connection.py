"""What the client does when the API is busy, away, or breaks off."""

import json
from pathlib import Path

import pytest

from services.client.client import Client
from services.contract.errors import (
    InvalidApiKeyError,
    InvalidRequestError,
    JobNotFoundError,
    QueueFullError,
    ServiceError,
    UploadTooLargeError,
)
from tests.client.scripted_api import hang_up, reply, scripted, stream
from tests.redis_server import free_port

JOB = {"id": "j1", "status": "queued", "created_at": "2026-01-01T00:00:00Z", "progress": 0.0}


def job(**changes: object) -> str:
    return json.dumps({**JOB, **changes})


def refusal(code: str) -> str:
    return json.dumps({"error": {"message": "no", "type": "x", "param": None, "code": code}})


def event(name: str, data: str, event_id: str) -> str:
    return f"id: {event_id}\nevent: {name}\ndata: {data}\n\n"


def test_a_busy_api_is_asked_again() -> None:
    busy = reply(429, refusal("queue_full"), retry_after="0")
    with scripted([busy, busy, reply(200, job())]) as (url, requests), Client(url) as client:
        assert client.job("j1").id == "j1"
        assert len(requests) == 3


def test_patience_ends_with_the_last_answer() -> None:
    busy = reply(429, refusal("queue_full"), retry_after="60")
    with scripted([busy]) as (url, _), Client(url, patience_s=5) as client:
        with pytest.raises(QueueFullError):
            client.job("j1")


def test_a_long_wait_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a run over night is silent, and nobody knows what it waits for."""
    monkeypatch.setattr("services.client.connection.LONGEST_PAUSE_S", 0.2)
    away = reply(502, "<html>Bad Gateway</html>")
    with scripted([away, away, reply(200, job()), away, reply(200, job())]) as (url, _):
        with Client(url) as client:
            client.job("j1")
            assert [record.getMessage() for record in caplog.records if record.levelno > 20] == [
                f"Waiting, for up to 30 s: {url}/v1/jobs/j1 answered 502 Bad Gateway"
            ]
            client.job("j1")
    assert sum("Waiting" in record.getMessage() for record in caplog.records) == 2


def test_an_answer_that_forbids_it_is_not_asked_again() -> None:
    refused = reply(503, refusal("queue_unavailable"), x_should_retry="false")
    with scripted([refused]) as (url, requests), Client(url) as client:
        with pytest.raises(ServiceError):
            client.job("j1")
        assert len(requests) == 1


def test_a_mistake_of_the_caller_is_not_repeated() -> None:
    with scripted([reply(413, refusal("upload_too_large"))]) as (url, requests):
        with Client(url) as client, pytest.raises(UploadTooLargeError):
            client.submit(b"x" * 10)
        assert len(requests) == 1


def test_an_upload_is_repeated_whole_and_with_the_same_key(tmp_path: Path) -> None:
    recording = tmp_path / "å b.wav"
    recording.write_bytes(b"sound" * 1000)
    answers = [reply(200, job()), hang_up, reply(202, job())]
    with scripted(answers) as (url, requests), Client(url) as client:
        client.job("j1")
        client.submit(recording)
    first, second = requests[1:]
    assert first.headers["content-length"] == second.headers["content-length"]
    assert int(second.headers["content-length"]) > 5000
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_an_address_where_nobody_ever_answered_is_not_waited_for() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, patience_s=3600) as client, pytest.raises(ServiceError, match="whisper-sv up"):
        client.job("j1")


def test_a_broken_event_stream_goes_on_after_the_last_event() -> None:
    answers = [
        stream(event("job", job(status="processing"), "4"), event("news", "{}", "5"), ": ping\n\n"),
        reply(503, refusal("queue_unavailable")),
        stream(event("segments", '{"segments": [{"start": 0, "end": 1, "text": "Hej"}]}', "6")),
        stream(event("done", "{}", "7")),
    ]
    with scripted(answers) as (url, requests), Client(url) as client:
        events = list(client.events("j1"))
    assert [e.kind for e in events] == ["job", "segments", "done"]
    assert events[1].segments[0].text == "Hej"
    assert [r.headers.get("last-event-id") for r in requests] == [None, "5", "5", "6"]


def test_events_of_a_missing_job_are_an_error() -> None:
    with scripted([reply(404, refusal("job_not_found"))]) as (url, _), Client(url) as client:
        with pytest.raises(JobNotFoundError):
            list(client.events("../j1"))


def test_a_stream_that_always_breaks_is_given_up() -> None:
    with scripted([stream("")] * 9) as (url, _), Client(url, patience_s=1) as client:
        with pytest.raises(ServiceError, match="again and again"):
            list(client.events("j1"))


def test_something_else_than_events_is_an_error() -> None:
    with scripted([reply(200, "<html>")]) as (url, _), Client(url) as client:
        with pytest.raises(ServiceError, match="does not send events"):
            list(client.events("j1"))


@pytest.mark.parametrize("body", ["<html>", "", "[]", '{"data": 5}', '{"id": "j1"}'])
def test_a_success_of_another_server_is_said_so(body: str) -> None:
    with scripted([reply(200, body)] * 3) as (url, _), Client(url) as client:
        for ask in (lambda: client.job("j1"), lambda: list(client.jobs()), client.models):
            with pytest.raises(ServiceError, match="is this the address of a whisper-sv API"):
                ask()


def test_an_event_of_another_server_is_said_so() -> None:
    with scripted([stream(event("job", "{}", "1"))]) as (url, _), Client(url) as client:
        with pytest.raises(ServiceError, match="is this the address of a whisper-sv API"):
            list(client.events("j1"))


def test_an_answer_that_cannot_be_unpacked_is_none() -> None:
    broken = reply(200, "plain", content_encoding="gzip")
    with scripted([broken]) as (url, _), Client(url) as client:
        with pytest.raises(ServiceError, match="No answer"):
            client.job("j1")


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_address_that_sdks_want_is_understood(end: str) -> None:
    with scripted([reply(200, job())]) as (url, requests), Client(url + end) as client:
        assert client.job("j1").id == "j1"
        assert requests[0].path == "/v1/jobs/j1"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://host:port", "", "http://"])
def test_what_is_no_address_is_said_so(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not an address"):
        Client(url)


@pytest.mark.parametrize("key", ["nyckel-å", "a\nb", "a\x00"])
def test_a_key_that_cannot_be_sent_is_said_so(key: str) -> None:
    with pytest.raises(InvalidApiKeyError, match="copy it again"):
        Client("http://127.0.0.1:9", key)
