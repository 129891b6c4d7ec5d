"""The job routes over real HTTP: life cycle, listing, events, cancel, deletion."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import BUNDLE, ScriptedWorker
from tests.waiting import wait_until


def create(client: httpx.Client, body: bytes | None = None, **fields: str) -> httpx.Response:
    files = {"file": ("mötet.wav", body or wav(), "audio/wav")}
    answer = client.post("/v1/jobs", data=fields, files=files)
    assert answer.status_code == 202, answer.text
    return answer


def ended(client: httpx.Client, job_id: str) -> dict[str, object]:
    """The job once its event stream has ended."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        stream.read()
    return client.get(f"/v1/jobs/{job_id}").json()


def test_a_job_from_upload_to_transcript(client: httpx.Client, worker: ScriptedWorker) -> None:
    answer = create(client, language="sv", batch="möte 1")
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert job["status"] == "queued"
    assert job["audio"]["filename"] == "mötet.wav"
    assert job["priority"] == "bulk"
    done = ended(client, job["id"])
    assert done["status"] == "succeeded"
    assert done["progress"] == 1
    assert done["model"] == BUNDLE
    text = client.get(done["links"]["transcript"], params={"format": "text", "download": "true"})
    assert text.text.startswith("Hej och")
    assert text.headers["content-disposition"] == (
        "attachment; filename=\"m_tet.txt\"; filename*=utf-8''m%C3%B6tet.txt"
    )


def test_a_raw_body_takes_its_fields_from_the_query(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    query = {"language": "en", "filename": "a.wav", "languages": "sv,en"}
    headers = {"content-type": "audio/wav"}
    job = client.post("/v1/jobs", params=query, content=wav(), headers=headers).json()
    assert job["options"]["language"] == "en"
    assert job["options"]["languages"] == ["sv", "en"]
    assert job["audio"]["filename"] == "a.wav"
    assert job["audio"]["content_type"] == "audio/wav"


def test_the_queue_is_seen_from_outside(client: httpx.Client) -> None:
    jobs = [create(client).json() for _ in range(3)]
    urgent = create(client, batch="b", priority="interactive").json()
    assert [client.get(f"/v1/jobs/{j['id']}").json()["queue_position"] for j in jobs] == [1, 2, 3]
    assert client.get(f"/v1/jobs/{urgent['id']}").json()["queue_position"] == 4
    assert urgent["priority"] == "interactive"


def test_jobs_are_listed_newest_first_page_by_page(client: httpx.Client) -> None:
    ids = [create(client, batch="a" if i % 2 else "b").json()["id"] for i in range(5)]
    page = client.get("/v1/jobs", params={"limit": 2}).json()
    assert [j["id"] for j in page["data"]] == ids[:2:-1]
    assert page["has_more"]
    rest = client.get("/v1/jobs", params={"limit": 9, "cursor": page["next_cursor"]}).json()
    assert [j["id"] for j in rest["data"]] == ids[2::-1]
    assert rest["next_cursor"] is None
    assert len(client.get("/v1/jobs", params={"batch": "b"}).json()["data"]) == 3
    assert client.get("/v1/jobs", params={"status": "failed"}).json()["data"] == []


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """(id, name, data) of each server-sent event."""
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value
        elif found:
            yield found["id"], found["event"], json.loads(found["data"])
            found = {}


def test_events_tell_segments_while_the_job_runs(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    worker.gate.clear()
    worker.on_window = lambda job, index: worker.gate.clear()
    job = create(client).json()
    with client.stream("GET", job["links"]["events"]) as stream:
        events = events_of(stream.iter_lines())
        first = next(events)
        assert first[1] == "job"
        worker.gate.set()
        rest = [next(e for e in events if e[1] == "segments")]
        worker.on_window = lambda job, index: None
        worker.gate.set()
        rest += events
    assert rest[-1][1] == "done"
    assert rest[-1][2]["status"] == "succeeded"
    told = [data for _, name, data in rest if name == "segments"]
    assert [data["window"] for data in told] == [0, 1]
    assert told[0]["segments"][0]["text"] == " Hej och välkommen."


def test_events_tell_how_a_waiting_job_moves_up(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.live.PING_S", 0.1)
    first, second = create(client).json(), create(client).json()
    with client.stream("GET", second["links"]["events"]) as stream:
        events = events_of(stream.iter_lines())
        assert next(events)[2]["queue_position"] == 2
        client.post(first["links"]["cancel"])
        assert next(events)[2]["queue_position"] == 1


def test_events_go_on_where_they_stopped(client: httpx.Client, worker: ScriptedWorker) -> None:
    job = create(client).json()
    ended(client, job["id"])
    with client.stream("GET", job["links"]["events"], headers={"Last-Event-ID": "1"}) as stream:
        events = list(events_of(stream.iter_lines()))
    assert [data["window"] for _, name, data in events if name == "segments"] == [1]
    assert events[-1][1] == "done"


def test_deleting_a_watched_job_ends_its_events(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    worker.gate.clear()
    job = create(client).json()
    with client.stream("GET", job["links"]["events"]) as stream:
        events = events_of(stream.iter_lines())
        next(events)
        client.delete(job["links"]["self"])
        last = list(events)[-1]
    assert last[1] == "error"
    assert last[2]["code"] == "job_not_found"


def test_a_waiting_job_is_canceled_at_once(client: httpx.Client, redis_client: Redis) -> None:
    job = create(client).json()
    canceled = client.post(job["links"]["cancel"])
    assert canceled.json()["status"] == "canceled"
    assert redis_client.llen("rq:queue:interactive") == 0
    assert client.post(job["links"]["cancel"]).status_code == 200
    transcript = client.get(job["links"]["transcript"])
    assert transcript.status_code == 409
    assert transcript.json()["error"]["code"] == "job_not_finished"
    assert transcript.headers["x-should-retry"] == "false"


def test_an_ended_job_cannot_be_canceled(client: httpx.Client, worker: ScriptedWorker) -> None:
    job = create(client).json()
    ended(client, job["id"])
    answer = client.post(job["links"]["cancel"])
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "job_not_cancelable"


def test_deletion_leaves_no_byte(
    client: httpx.Client, worker: ScriptedWorker, api: RunningApi, redis_client: Redis
) -> None:
    worker.spoken = (" Hemlighet.",)
    job = create(client, prompt="Hemlighet").json()
    ended(client, job["id"])
    answer = client.delete(job["links"]["self"])
    assert answer.json() == {"id": job["id"], "object": "job", "deleted": True}
    assert api.stored() == []
    left = b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter("*"))
    assert b"Hemlighet" not in left
    keys = [key for key in redis_client.scan_iter("*") if job["id"].encode() in key]
    assert [key for key in keys if b"waited" not in key] == []
    assert client.get(job["links"]["self"]).status_code == 404
    assert client.delete(job["links"]["self"]).status_code == 404


def test_an_idempotency_key_makes_one_job(client: httpx.Client, api: RunningApi) -> None:
    body, other, n_bytes = wav(), wav(0.5), n_uploaded(client)

    def send(content: bytes) -> httpx.Response:
        headers = {"content-type": "audio/wav", "Idempotency-Key": "abc"}
        return client.post("/v1/jobs", content=content, headers=headers)

    first, again, conflict = send(body), send(body), send(other)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert conflict.status_code == 422
    assert conflict.json()["error"]["code"] == "idempotency_conflict"
    assert len(api.stored()) == 1
    assert n_uploaded(client) - n_bytes == len(body)


def n_uploaded(client: httpx.Client) -> float:
    figures = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
    return float(figures["stt_upload_bytes_total"])


def test_batches_are_counted_and_zipped(client: httpx.Client, worker: ScriptedWorker) -> None:
    for seconds in (1.0, 0.5):
        ended(client, create(client, wav(seconds), batch="möte").json()["id"])
    counts = client.get("/v1/batches/möte").json()
    assert counts["n_jobs"] == counts["counts"]["succeeded"] == 2
    assert counts["progress"] == 1
    assert counts["audio_s"] == 1.5
    archive = client.get("/v1/batches/möte/transcripts.zip", params={"format": "srt"})
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert opened.namelist() == ["mötet.srt", "mötet-2.srt"]
        assert opened.read("mötet.srt").startswith(b"1\n00:00")
        assert opened.testzip() is None
    missing = client.get("/v1/batches/annat")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "batch_not_found"


def test_models_answer_to_their_names(client: httpx.Client, worker: ScriptedWorker) -> None:
    def served() -> str:
        return client.get("/v1/models").json()["data"][0]["id"]

    wait_until(lambda: served() == BUNDLE, what="the heartbeat to be seen")
    for name in (BUNDLE, "scripted", "whisper-1", "gpt-4o-mini-transcribe-2025-12-15"):
        model = client.get(f"/v1/models/{name}").json()
        assert model["id"] == name
        assert model["bundle"] == BUNDLE
    missing = client.get("/v1/models/openai/whisper-large-v3")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


def test_the_service_tells_its_state(
    redis_url: str, tmp_path: Path, worker: ScriptedWorker
) -> None:
    with RunningApi(redis_url, tmp_path) as api, api.client() as client:
        require_figures(client)


def require_figures(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {
        "status": "ok",
        "checks": {"redis": "ok", "audio_store": "ok"},
    }
    ended(client, create(client).json()["id"])
    # The event that counts the job comes after its record.
    counted = 'stt_jobs_total{status="succeeded"} 1.0'
    wait_until(lambda: counted in client.get("/metrics").text, what="the count")
    figures = client.get("/metrics").text
    for line in (
        'stt_queue_depth{lane="interactive"} 0.0',
        "stt_workers 1.0",
        'stt_worker_batch_fill{worker="scripted"} 3.0',
        'stt_job_wait_seconds_count{lane="interactive"} 1.0',
        # A rate sees no failure in a series that begins with it.
        'stt_jobs_total{status="failed"} 0.0',
        "stt_redis_up 1.0",
    ):
        assert line in figures
    assert "stt_store_free_bytes" in figures
