"""Calls that wait: hanging up, coming back, giving up."""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.api.waiters import mark_key
from services.contract.errors import QueueUnavailableError
from services.contract.job_store import JobStore
from services.contract.schema import JobStatus
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.waiting import wait_until

ROUTE = "/v1/audio/transcriptions"


@pytest.fixture
def jobs(redis_client: Redis) -> JobStore:
    return JobStore(redis_client, transcript_ttl_s=600, audio_ttl_s=600)


def only_job(jobs: JobStore) -> str:
    """The id of the one job, once it is there."""
    wait_until(lambda: bool(jobs.list_jobs(None).jobs), what="the job")
    (job,) = jobs.list_jobs(None).jobs
    return job.id


def hang_up_on(api: RunningApi, jobs: JobStore, stream: str = "false", behind: bytes = b"") -> str:
    """Send a recording, wait for its job, and hang up; return the job's id."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"stream", stream.encode()) + part % (b"file", wav()) + b"--b--\r\n"
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(
            head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body + behind
        )
        job_id = only_job(jobs)
        if stream == "true":
            answer = b""
            while b"ping" not in answer:
                answer += connection.recv(65536)
    return job_id


def test_a_call_that_waits_when_the_process_stops_is_told_to_come_again(
    redis_url: str, tmp_path: Path, jobs: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[httpx.Response] = []
    with RunningApi(redis_url, tmp_path) as api, api.client() as client:

        def call() -> None:
            answers.append(client.post(ROUTE, files={"file": ("a.wav", wav(), "audio/wav")}))

        waiting = threading.Thread(target=call)
        waiting.start()
        job_id = only_job(jobs)
        api.server.should_exit = True
        waiting.join(timeout=60)
    (answer,) = answers
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_stopping"
    assert answer.headers["x-should-retry"] == "true"
    assert "Traceback" not in caplog.text
    assert jobs.get(job_id).status is JobStatus.QUEUED


@pytest.mark.parametrize("behind", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_job_that_nobody_waits_for_is_canceled(
    redis_url: str, tmp_path: Path, jobs: JobStore, stream: str, behind: bytes
) -> None:
    with RunningApi(redis_url, tmp_path, orphan_grace_s=0.3) as api:
        job_id = hang_up_on(api, jobs, stream, behind)
        wait_until(lambda: jobs.get(job_id).status is JobStatus.CANCELED, what="the cancel")


def test_a_mark_that_is_renewed_late_does_not_keep_a_job(
    redis_url: str, tmp_path: Path, jobs: JobStore
) -> None:
    """As by the thread that renewed it while the call was left."""
    with RunningApi(redis_url, tmp_path, orphan_grace_s=0.5) as api:
        job_id = hang_up_on(api, jobs)
        wait_until(lambda: bool(api.app.state.service.waiters._checks), what="the grace period")
        jobs.redis.set(mark_key(job_id), time.time() + 0.4)
        wait_until(lambda: jobs.get(job_id).status is JobStatus.CANCELED, what="the cancel")


def test_who_comes_back_meets_the_running_job(
    redis_url: str, tmp_path: Path, jobs: JobStore, worker: ScriptedWorker
) -> None:
    worker.gate.clear()
    # The second try goes to another API process, as behind a load balancer.
    with (
        RunningApi(redis_url, tmp_path, orphan_grace_s=2.0) as api,
        RunningApi(redis_url, tmp_path, orphan_grace_s=2.0) as other,
        other.client() as client,
    ):
        job_id = hang_up_on(api, jobs)
        answers: list[httpx.Response] = []
        files = {"file": ("a.wav", wav(), "audio/wav")}
        again = threading.Thread(target=lambda: answers.append(client.post(ROUTE, files=files)))
        again.start()
        again.join(timeout=4)
        assert jobs.get(job_id).status is JobStatus.PROCESSING, "canceled though somebody waits"
        worker.gate.set()
        again.join(timeout=60)
    assert answers[0].headers["x-job-id"] == job_id
    assert answers[0].json()["text"].startswith("Hej")
    assert worker.started == [job_id]


def test_the_same_recording_is_asked_anew_of_a_new_model(
    redis_url: str, tmp_path: Path, worker: ScriptedWorker
) -> None:
    files = {"file": ("a.wav", wav(), "audio/wav")}
    with RunningApi(redis_url, tmp_path) as api, api.client() as client:
        first = client.post(ROUTE, files=files).headers["x-job-id"]
        assert client.post(ROUTE, files=files).headers["x-job-id"] == first
        worker.bundle = "scripted@2"
        worker.report()
        wait_until(
            lambda: client.get("/v1/models/scripted@2").status_code == 200,
            what="the API to see the new model",
        )
        assert client.post(ROUTE, files=files).headers["x-job-id"] != first


def test_a_job_of_its_own_is_not_canceled_by_one_that_waited_for_it(
    redis_url: str, tmp_path: Path, jobs: JobStore
) -> None:
    with RunningApi(redis_url, tmp_path, orphan_grace_s=0.2) as api, api.client() as client:
        made = client.post("/v1/jobs", files={"file": ("a.wav", wav(), "audio/wav")}).json()
        assert hang_up_on(api, jobs) == made["id"]
        watched = hang_up_on(api, jobs)
        with pytest.raises(AssertionError, match="in vain"):
            wait_until(
                lambda: jobs.get(watched).status is not JobStatus.QUEUED, timeout_s=1, what="an end"
            )


def test_a_call_waits_only_so_long_and_the_job_goes_on(
    redis_url: str, tmp_path: Path, jobs: JobStore
) -> None:
    """Nor can a call end it any more that waited for it before, and went away."""
    with RunningApi(redis_url, tmp_path, wait_timeout_s=2, orphan_grace_s=2.5) as api:
        waiters, files = api.app.state.service.waiters, {"file": ("a.wav", wav(), "audio/wav")}
        with api.client() as client, suppress(httpx.ReadTimeout):
            client.post(ROUTE, files=files, timeout=0.5)
        with api.client() as client:
            answer = client.post(ROUTE, files=files)
        wait_until(lambda: not waiters._checks, what="the look at a job that was left")
        assert jobs.get(only_job(jobs)).status is JobStatus.QUEUED
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "transcription_timeout"
    assert only_job(jobs) in error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_canceling_a_job_answers_the_call_that_waits(
    api: RunningApi, jobs: JobStore, client: httpx.Client
) -> None:
    answers: list[httpx.Response] = []
    files = {"file": ("a.wav", wav(), "audio/wav")}
    waiting = threading.Thread(target=lambda: answers.append(client.post(ROUTE, files=files)))
    waiting.start()
    job_id = only_job(jobs)
    with api.client() as other:
        other.post(f"/v1/jobs/{job_id}/cancel")
    waiting.join(timeout=60)
    assert answers[0].status_code == 409
    assert answers[0].json()["error"]["code"] == "job_canceled"
    assert answers[0].headers["x-should-retry"] == "false"


def test_a_job_keeps_its_recording_should_redis_go_away_right_after_it(
    api: RunningApi, client: httpx.Client, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bool:
        raise QueueUnavailableError("Redis does not answer; try again in a moment.")

    monkeypatch.setattr(api.app.state.service.waiters, "take", away)
    answer = client.post(ROUTE, files={"file": ("a.wav", wav())})
    assert answer.status_code == 503
    assert api.stored() == [jobs.get(only_job(jobs)).audio.key]
