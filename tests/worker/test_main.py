import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from redis import Redis

from services.contract import retention
from services.contract.audio_store import AudioStore
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import connect
from services.contract.workers import WorkerInfo
from services.worker import main
from tests.contract.builders import make_job
from tests.redis_server import free_port


def test_check_loads_and_tries_the_model(
    short_bundle_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STT_MODEL", str(short_bundle_dir))
    monkeypatch.setenv("STT_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("STT_DEVICE", "cpu")
    assert main.main(["--check"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"] and facts["bundle"] == "short@1" and facts["device"] == "cpu"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("STT_MODEL", "./nowhere", "nowhere"), ("STT_SLOT", "3", "STT_SLOTS")],
)
def test_a_wrong_setting_is_one_line(
    name: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STT_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    assert main.main(["--check"]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: ") and said in told


def test_healthcheck_looks_for_a_heartbeat_of_this_host(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_REDIS_URL", redis_url)
    monkeypatch.setattr(main.socket, "gethostname", lambda: "here")
    queue = JobQueue(connect(redis_url))
    info = WorkerInfo(name="elsewhere-1", bundle="tiny@1", device="cpu", slots=1)
    queue.report_worker(info)
    assert main.main(["--healthcheck"]) == 1
    queue.report_worker(info.model_copy(update={"name": "here-1"}))
    assert main.main(["--healthcheck"]) == 0


def test_a_redis_that_stays_away_is_one_line(
    short_bundle_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("services.contract.redis_client.WORKER_RETRIES", 1)
    monkeypatch.setenv("STT_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("STT_AUDIO_STORE_URL", f"file://{tmp_path}/audio")
    monkeypatch.setenv("STT_MODEL", str(short_bundle_dir))
    monkeypatch.setenv("STT_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("STT_DEVICE", "cpu")
    assert main.main([]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("error: Redis does not answer") and "STT_REDIS_URL" in told[-1]
    assert not any("Traceback" in line for line in told)


def test_housekeeping_deletes_all_that_is_due(
    redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much it is: a portion after the other, without a pause."""

    class Done(Exception):
        pass

    def pause(_: float) -> None:
        raise Done

    store = JobStore(redis_client, transcript_ttl_s=3600, audio_ttl_s=3600)
    monkeypatch.setattr(retention, "MOST_PER_PORTION", 2)
    monkeypatch.setattr(main, "time", SimpleNamespace(sleep=pause))  # not that of all threads
    for _ in range(5):
        job = make_job()
        store.create(job)
        store.cancel(job.id)
        store.redis.zincrby("stt:ended:record", -30 * 24 * 3600, job.id)
    with pytest.raises(Done):
        main.keep_house(store, JobQueue(redis_client), AudioStore(f"file://{tmp_path}/audio"))
    assert store.redis.zcard("stt:ended:record") == 0
