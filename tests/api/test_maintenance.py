"""What an API process does beside answering."""

from pathlib import Path

import pytest
from redis import Redis

from services.contract import retention
from services.contract.job_store import JobStore
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.waiting import wait_until


def test_all_that_is_due_is_deleted_however_much_it_is(
    redis_url: str, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(redis_client, transcript_ttl_s=3600, audio_ttl_s=3600)
    with RunningApi(redis_url, tmp_path) as api, api.client() as client:
        for number in range(8):
            file = {"file": ("a.wav", wav(1 + number / 10), "audio/wav")}
            job_id = client.post("/v1/jobs", files=file).json()["id"]
            store.cancel(job_id)
            if number < 7:
                for what in ("audio", "record"):
                    redis_client.zincrby(f"stt:ended:{what}", -30 * 24 * 3600, job_id)
    redis_client.delete("stt:lock:sweep")
    monkeypatch.setattr(retention, "MOST_PER_PORTION", 3)
    with RunningApi(redis_url, tmp_path) as api, api.client() as client:
        wait_until(lambda: len(api.stored()) == 1, what="the last recording that is due to go")
        assert [job["id"] for job in client.get("/v1/jobs").json()["data"]] == [job_id]
