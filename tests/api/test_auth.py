"""Who may call: keys, other people's jobs, limits, and addresses that must not be open."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from redis import Redis

from services.api.app import create_app
from services.api.auth import KeyRing, is_loopback
from services.contract.errors import InvalidApiKeyError, InvalidRequestError, SettingsError
from services.contract.settings import ApiSettings
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import BUNDLE, ScriptedWorker
from tests.waiting import wait_until


def entry(name: str, secret: str) -> str:
    return f"{name}:{hashlib.sha256(secret.encode()).hexdigest()}"


KEYS = f"{entry('anna', 'sk-anna')}, {entry('bo', 'sk-bo')}"


def send(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/jobs", files={"file": ("a.wav", wav(0.1), "audio/wav")})


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic sk-anna", "sk-anna", "Bearer sk-annå"]
)
def test_wrong_and_missing_keys_are_401(redis_url: str, tmp_path: Path, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    with RunningApi(redis_url, tmp_path, api_keys=KEYS) as api, api.client() as client:
        for path in ("/v1/models", "/v1/jobs", "/v1/batches/x", "/v1/jobs/x/audio"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200


def test_a_key_is_checked_before_the_body_is_read(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, api_keys=KEYS) as api, api.client("sk-eva") as client:
        assert send(client).status_code == 401
        assert api.stored() == []


def test_a_key_sees_only_its_own_jobs(redis_url: str, tmp_path: Path) -> None:
    with (
        RunningApi(redis_url, tmp_path, api_keys=KEYS) as api,
        api.client("sk-anna") as anna,
        api.client("sk-bo") as bo,
    ):
        links = send(anna).json()["links"]
        assert anna.get(links["self"]).status_code == 200
        for name, link in links.items():
            method = "POST" if name in ("cancel", "retry") else "GET"
            answer = bo.request(method, link)
            assert answer.status_code == 404, name
            assert answer.json()["error"]["code"] == "job_not_found"
        assert bo.delete(links["self"]).status_code == 404
        assert bo.get("/v1/jobs").json()["data"] == []
        assert anna.get(links["audio"]).status_code == 200


def served_by(client: httpx.Client) -> str:
    return str(client.get("/v1/models").json()["data"][0]["id"])


def test_nothing_of_a_key_answers_for_another(redis_url: str, tmp_path: Path) -> None:
    with (
        RunningApi(redis_url, tmp_path, api_keys=KEYS) as api,
        api.client("sk-anna") as anna,
        api.client("sk-bo") as bo,
        ScriptedWorker(redis_url),
    ):
        once = {"headers": {"Idempotency-Key": "1"}, "data": {"batch": "b"}}
        recording = {"file": ("a.wav", wav(0.1), "audio/wav")}
        jobs = [key.post("/v1/jobs", files=recording, **once) for key in (anna, anna, bo)]
        ids = [answer.json()["id"] for answer in jobs]
        assert ids[0] == ids[1] != ids[2]
        assert "idempotency-replayed" not in jobs[2].headers
        wait_until(lambda: served_by(anna) == BUNDLE, what="the worker to be seen")
        waited = [key.post("/v1/audio/transcriptions", files=recording) for key in (anna, anna, bo)]
        ids = [answer.headers["x-job-id"] for answer in waited]
        assert ids[0] == ids[1] != ids[2]
        assert bo.get("/v1/batches/b").json()["n_jobs"] == 1
        anna.post("/v1/jobs", files=recording, data={"batch": "hers"})
        for path in ("/v1/batches/hers", "/v1/batches/hers/transcripts.zip"):
            assert bo.get(path).status_code == 404
        assert bo.get("/v1/jobs", params={"batch": "hers"}).json()["data"] == []


def test_the_rate_of_a_key_is_limited(redis_url: str, tmp_path: Path) -> None:
    limits = {"api_keys": KEYS, "rate_limit_per_minute": 2}
    with (
        RunningApi(redis_url, tmp_path, **limits) as api,
        api.client("sk-anna") as anna,
        api.client("sk-bo") as bo,
    ):
        statuses = [send(anna).status_code for _ in range(5)]
        assert statuses.count(429) >= 2
        refused = send(anna)
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-should-retry"] == "true"
        assert send(bo).status_code == 202


def test_the_unfinished_jobs_of_a_key_are_limited(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, concurrency_limit=2) as api, api.client() as client:
        links = [send(client).json()["links"] for _ in range(2)]
        refused = send(client)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "concurrency_limit_exceeded"
        client.post(links[0]["cancel"])
        assert send(client).status_code == 202


def test_a_request_that_is_sent_again_is_not_refused_for_its_own_job(
    redis_url: str, tmp_path: Path
) -> None:
    limits = {"concurrency_limit": 2, "wait_timeout_s": 0.1}
    with RunningApi(redis_url, tmp_path, **limits) as api, api.client() as client:
        once, files = {"Idempotency-Key": "k"}, {"file": ("a.wav", wav(0.7))}
        ids = [client.post("/v1/jobs", headers=once, files=files).json()["id"] for _ in range(2)]
        assert ids[0] == ids[1]
        files = {"file": ("a.wav", wav(0.6))}
        waited = [client.post("/v1/audio/transcriptions", files=files).json() for _ in range(2)]
        assert waited[0] == waited[1], "both name the same job, which goes on"
        assert waited[0]["error"]["code"] == "transcription_timeout"
        other = {"file": ("a.wav", wav(0.8))}
        for refused in (
            client.post("/v1/jobs", headers={"Idempotency-Key": "l"}, files=other),
            client.post("/v1/audio/transcriptions", files=other),
        ):
            assert refused.json()["error"]["code"] == "concurrency_limit_exceeded"
        assert len(api.stored()) == 2


def test_what_another_limit_refuses_does_not_count_as_a_job_of_this_minute(
    redis_url: str, tmp_path: Path
) -> None:
    limits = {"concurrency_limit": 1, "rate_limit_per_minute": 3}
    with RunningApi(redis_url, tmp_path, **limits) as api, api.client() as client:
        job = send(client).json()
        codes = {send(client).json()["error"]["code"] for _ in range(4)}
        assert codes == {"concurrency_limit_exceeded"}
        client.post(job["links"]["cancel"])
        assert send(client).status_code == 202


def test_uploads_at_the_same_time_keep_to_the_limit_of_their_key(
    redis_url: str, tmp_path: Path
) -> None:
    with (
        RunningApi(redis_url, tmp_path, concurrency_limit=2) as api,
        api.client() as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(send, [client] * 8))
        assert sorted(answer.status_code for answer in answers) == [202] * 2 + [429] * 6
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "concurrency_limit_exceeded"
        assert int(refused.headers["retry-after"]) > 0
        assert len(api.stored()) == 2


def test_a_full_queue_is_429(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, queue_limit=3) as api, api.client() as client:
        assert [send(client).status_code for _ in range(4)] == [202, 202, 202, 429]
        refused = send(client)
        assert refused.json()["error"]["code"] == "queue_full"
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) > 0
        assert len(api.stored()) == 3


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "stt.example.com"])
def test_a_public_address_without_keys_does_not_start(host: str, tmp_path: Path) -> None:
    settings = ApiSettings(host=host, audio_store_url=f"file://{tmp_path}")
    with pytest.raises(SettingsError, match="STT_API_KEYS"):
        create_app(settings, redis=Redis())
    assert KeyRing.of(settings.model_copy(update={"allow_no_keys": True})).is_open


@pytest.mark.parametrize("keys", ["sk-anna", "anna:sk-anna", "anna:" + "g" * 64, "a b:" + "0" * 64])
def test_a_malformed_key_is_not_repeated(keys: str) -> None:
    with pytest.raises(SettingsError, match="entry 1") as caught:
        KeyRing.of(ApiSettings.model_validate({"api_keys": keys}))
    assert keys not in caught.value.message


def test_a_local_service_answers_only_to_local_names() -> None:
    ring = KeyRing.of(ApiSettings())
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        assert ring.owner("Bearer any", host) == "public"
    for host in ("evil.example", "127.0.0.1.evil.example:8000", ""):
        with pytest.raises(InvalidRequestError, match="localhost"):
            ring.owner(None, host)


@pytest.mark.parametrize(
    ("forwarded_for", "status"),
    [
        (["192.0.2.7"], 400),
        (["2001:db8::7"], 400),
        # A caller who says so itself, and the address that the proxy then adds.
        (["127.0.0.1, 192.0.2.7"], 400),
        (["127.0.0.1", "192.0.2.7"], 400),
        (["unknown"], 400),
        (["::ffff:192.0.2.7"], 400),
        (["::ffff:127.0.0.1"], 200),
        (["127.0.0.1"], 200),
        (["::1, 127.0.0.1"], 200),
    ],
)
def test_a_proxy_does_not_open_a_local_service_to_other_machines(
    client: httpx.Client, forwarded_for: list[str], status: int
) -> None:
    """Apache's proxy names the API as the host, unless ProxyPreserveHost says otherwise."""
    answer = client.get("/v1/jobs", headers=[("X-Forwarded-For", each) for each in forwarded_for])
    assert answer.status_code == status, answer.text
    if status == 400:
        assert "STT_API_KEYS" in answer.json()["error"]["message"]


def test_the_owner_is_the_name_of_the_key() -> None:
    ring = KeyRing.of(ApiSettings.model_validate({"api_keys": KEYS}))
    assert ring.owner("bearer sk-bo", "anything") == "bo"
    with pytest.raises(InvalidApiKeyError):
        ring.owner("Bearer " + hashlib.sha256(b"sk-bo").hexdigest(), "anything")


def test_loopback_is_recognised() -> None:
    assert [is_loopback(h) for h in ("127.0.0.2", "::1", "10.0.0.1", "x")] == [
        True,
        True,
        False,
        False,
    ]
