import os
from pathlib import Path

import pytest
from redis import Redis

from services.client import embedded_redis
from services.client.child_process import ChildProcess
from services.contract.errors import ServiceError
from tests.waiting import wait_until


def start(data_dir: Path, lock: int) -> ChildProcess:
    (data_dir / "logs").mkdir(parents=True, exist_ok=True)
    child = ChildProcess(embedded_redis.plan(data_dir, dict(os.environ), lock))
    url = embedded_redis.url(data_dir)
    wait_until(lambda: embedded_redis.answers(url), what="Redis")
    return child


@pytest.mark.parametrize(
    "name", ["d", "d" * 60, "my data, 100% #1?"], ids=["plain", "too long for a socket", "odd"]
)
def test_it_keeps_what_it_is_given_and_never_evicts(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name
    data_dir.mkdir()
    with embedded_redis.locked(data_dir) as lock:
        for expected in (None, b"here"):
            child = start(data_dir, lock)
            try:
                with Redis.from_url(embedded_redis.url(data_dir)) as client:
                    assert client.get("job") == expected
                    client.set("job", "here")
                    assert client.client_info()["db"] == 0  # RQ asks at a worker's start
                    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            finally:
                child.stop()


def test_nobody_else_reads_the_transcripts_of_an_older_folder(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir(mode=0o755)
    embedded_redis.plan(tmp_path, {}, 0)
    assert folder.stat().st_mode & 0o777 == 0o750


def test_a_data_folder_has_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis, "LOCK_TIMEOUT_S", 0.1)
    with embedded_redis.locked(tmp_path):
        with pytest.raises(ServiceError, match="Another"), embedded_redis.locked(tmp_path):
            pass
    with embedded_redis.locked(tmp_path):
        pass


def test_a_redis_that_outlives_its_owner_still_holds_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "LOCK_TIMEOUT_S", 0.1)
    with embedded_redis.locked(tmp_path) as lock:
        child = start(tmp_path, lock)
    try:
        with pytest.raises(ServiceError, match="Another"), embedded_redis.locked(tmp_path):
            pass
    finally:
        child.stop()
