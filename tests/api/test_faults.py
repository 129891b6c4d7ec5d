"""When parts fail under the API: Redis away, store full, a restart; and two APIs at once."""

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from services.contract import recording_files, retention
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_jobs import create, ended, events_of
from tests.redis_server import RedisServer
from tests.waiting import wait_until


def test_without_redis_uploads_are_503_and_leave_nothing_for_long(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunningApi(redis_server.url, tmp_path) as api, api.client() as client:
        create(client)
        redis_server.kill()
        # The first may have been let in by a look at Redis a moment ago; no other is read.
        n_stored = []
        for _ in range(2):
            answer = client.post("/v1/jobs", files={"file": ("a.wav", wav(), "audio/wav")})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "queue_unavailable"
            assert answer.headers["x-should-retry"] == "true"
            assert answer.headers["retry-after"]
            n_stored.append(len(api.stored()))
        assert n_stored in ([1, 1], [2, 2])
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["redis"] == "queue_unavailable"
        assert "stt_redis_up 0.0" in client.get("/metrics").text
        redis_server.start()
        assert client.get("/readyz").status_code == 200
        create(client)
        monkeypatch.setattr(retention, "ORPHAN_AGE_S", 0.0)
        retention.delete_orphans(api.app.state.service.jobs, api.app.state.service.store)
        assert len(api.stored()) == 2


def test_a_job_that_a_crashed_redis_had_made_has_its_recording(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made, and Redis is away before it says so: who sends again joins that job."""
    with RunningApi(redis_server.url, tmp_path) as api, api.client() as client:
        jobs = api.app.state.service.jobs
        made = jobs.create_once

        def make_and_crash(*asked: Any) -> None:
            made(*asked)
            redis_server.kill()
            made(*asked)

        once, files = {"Idempotency-Key": "k"}, {"file": ("a.wav", wav(0.7))}
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "create_once", make_and_crash)
            refused = client.post("/v1/jobs", headers=once, files=files)
        assert refused.json()["error"]["code"] == "queue_unavailable"
        redis_server.start()
        again = client.post("/v1/jobs", headers=once, files=files)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert client.get(again.json()["links"]["audio"]).content == wav(0.7)
        assert len(api.stored()) == 1


def test_events_and_waiting_calls_survive_a_restart_of_redis(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        RunningApi(redis_server.url, tmp_path) as api,
        api.client() as client,
        api.client() as other,
    ):
        job = create(client).json()
        texts: list[str] = []

        def wait() -> None:
            files = {"file": ("b.wav", wav(0.5), "audio/wav")}
            answer = other.post("/v1/audio/transcriptions", files=files)
            texts.append(answer.json()["text"])

        waiting = threading.Thread(target=wait)
        with client.stream("GET", job["links"]["events"]) as stream:
            events = events_of(stream.iter_lines())
            next(events)
            waiting.start()
            while len(api.app.state.service.jobs.list_jobs(None).jobs) < 2:
                continue
            redis_server.restart()
            with ScriptedWorker(redis_server.url):
                last = list(events)[-1]
                waiting.join(timeout=120)
    assert last[1] == "done"
    assert last[2]["status"] == "succeeded"
    assert texts and texts[0].startswith("Hej")


def test_events_go_on_at_a_restarted_api(redis_url: str, tmp_path: Path) -> None:
    with ScriptedWorker(redis_url) as worker:
        worker.gate.clear()
        with RunningApi(redis_url, tmp_path) as api, api.client() as client:
            job = create(client).json()
            # The first window is told, then the API goes away under the reader.
            worker.on_window = lambda job, index: worker.gate.clear()
            worker.gate.set()
            seen = []
            with client.stream("GET", job["links"]["events"]) as stream:
                for event in events_of(stream.iter_lines()):
                    seen.append(event)
                    if event[1] == "segments":
                        break
        worker.on_window = lambda job, index: None
        worker.gate.set()
        with RunningApi(redis_url, tmp_path) as api, api.client() as client:
            headers = {"Last-Event-ID": seen[-1][0]}
            with client.stream("GET", job["links"]["events"], headers=headers) as stream:
                rest = list(events_of(stream.iter_lines()))
    told = [data["window"] for _, name, data in seen + rest if name == "segments"]
    assert told == [0, 1]
    assert rest[-1][1] == "done"


def test_two_apis_tell_the_right_clients(redis_url: str, tmp_path: Path) -> None:
    with (
        ScriptedWorker(redis_url),
        RunningApi(redis_url, tmp_path) as one,
        RunningApi(redis_url, tmp_path) as two,
        one.client() as a,
        two.client() as b,
    ):
        jobs = [create(client).json() for client in (a, b) for _ in range(5)]
        # Everybody asks at the process that did not take the job.
        results = [ended(b if i < 5 else a, job["id"]) for i, job in enumerate(jobs)]
    assert [r["id"] for r in results] == [j["id"] for j in jobs]
    assert {r["status"] for r in results} == {"succeeded"}


class FullFile(recording_files.LocalFile):
    """A disk that has room for the name of the file and no more."""

    def write(self, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("n_seconds", [1, 120])
def test_a_full_store_is_507_and_nothing_is_half_written(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, n_seconds: int
) -> None:
    monkeypatch.setattr("services.contract.audio_store.LocalFile", FullFile)
    answer = client.post("/v1/jobs", files={"file": ("a.wav", wav(n_seconds), "audio/wav")})
    assert answer.status_code == 507
    assert answer.json()["error"]["code"] == "store_full"
    assert api.stored() == []
    assert client.get("/readyz").json()["checks"]["audio_store"] == "store_full"


def test_an_unwritable_store_is_503(api: RunningApi, client: httpx.Client) -> None:
    api.folder.rmdir()
    api.folder.write_text("not a folder")
    answer = client.post("/v1/jobs", files={"file": ("a.wav", wav(), "audio/wav")})
    assert answer.status_code in (503, 410), answer.text
    assert answer.json()["error"]["code"] == "audio_store_unavailable"
    assert client.get("/readyz").status_code == 503


def test_a_full_redis_is_not_ready_and_jobs_can_be_deleted(
    api: RunningApi, client: httpx.Client, redis_client: Redis
) -> None:
    job = create(client).json()
    redis_client.config_set("maxmemory", 1)
    try:
        refused = client.post("/v1/jobs", files={"file": ("a.wav", wav(), "audio/wav")})
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "queue_unavailable"
        assert client.get("/readyz").json()["checks"]["redis"] == "queue_unavailable"
        assert client.delete(f"/v1/jobs/{job['id']}").status_code == 200
        assert api.stored() == []
    finally:
        redis_client.config_set("maxmemory", 0)
    assert client.get("/readyz").status_code == 200


def test_a_redis_that_hangs_is_told_before_a_probe_gives_up(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with RunningApi(redis_server.url, tmp_path) as api, api.client() as client:
        assert client.get("/readyz").status_code == 200
        redis_server.pause()
        try:
            ready = client.get("/readyz", timeout=20)  # Clients of Redis try for 30 s.
        finally:
            redis_server.resume()
        assert ready.json()["checks"] == {"redis": "queue_unavailable", "audio_store": "ok"}
        wait_until(lambda: client.get("/readyz").is_success, what="Redis")


@pytest.mark.slow
def test_a_job_that_redis_makes_late_has_its_recording(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """A Redis that hung carries out what it was sent; who gave up and sends again joins that."""
    with RunningApi(redis_server.url, tmp_path) as api, api.client() as client:
        # So that the recording is read before Redis is asked.
        create(client)
        once, files = {"Idempotency-Key": "k"}, {"file": ("a.wav", wav(0.7))}
        redis_server.pause()
        try:
            refused = client.post("/v1/jobs", headers=once, files=files, timeout=120)
        finally:
            redis_server.resume()
        assert refused.json()["error"]["code"] == "queue_unavailable"
        again = client.post("/v1/jobs", headers=once, files=files)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert client.get(again.json()["links"]["audio"]).content == wav(0.7)
        assert len(api.stored()) == 2


def test_a_defect_of_ours_is_told_and_the_next_request_is_answered(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(api.app.state.service.jobs, "get", broken)
        for _ in range(20):  # a connection that is closed unsaid is met now and then
            answer = client.get("/v1/jobs/x")
            assert answer.status_code == 500 and answer.headers["connection"] == "close"
            assert answer.json()["error"]["code"] == "internal_error"
            assert "secret" not in answer.text
            assert answer.headers["x-request-id"] in answer.text
    assert client.get("/v1/jobs/x").status_code == 404


def test_a_required_worker_is_asked_for(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, ready_requires_worker=True) as api:
        with api.client() as client:
            assert client.get("/readyz").json()["checks"]["worker"] == "no_worker"
            with ScriptedWorker(redis_url):
                assert client.get("/readyz").status_code == 200


def test_the_log_has_no_text_and_no_query(
    client: httpx.Client, worker: ScriptedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="services")
    worker.spoken = (" Hemligt",)
    params = {"prompt": "Hemligt", "filename": "Hemligt.wav"}
    headers = {"content-type": "audio/wav"}
    job = client.post("/v1/jobs", params=params, content=wav(), headers=headers).json()
    ended(client, job["id"])
    client.get(job["links"]["transcript"])
    lines = [json.dumps(vars(record), default=str) for record in caplog.records]
    assert any("/v1/jobs" in line for line in lines)
    assert not [line for line in lines if "Hemligt" in line]
