"""The connection to Redis: what is told at once, and what is tried again."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from services.contract import redis_client
from services.contract.errors import QueueSilentError, QueueUnavailableError, SettingsError
from services.contract.redis_client import connect, redis_errors, require_access
from tests.contract.lossy_proxy import LossyProxy
from tests.redis_server import RedisServer, free_port


@pytest.mark.parametrize("given", ["", ":wrong@", "nobody:right@"])
def test_a_wrong_or_missing_password_is_refused_at_once(
    redis_server: RedisServer, given: str
) -> None:
    with Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", "right")
    with pytest.raises(SettingsError, match="refuses the password") as caught:
        require_access(redis_server.url.replace("://", f"://{given}"))
    assert "wrong" not in caught.value.message
    require_access(redis_server.url.replace("://", "://:right@"))


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """Port of a server whose certificate nobody vouches for; it shakes hands, no more."""
    words = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key -out cert"
    subprocess.run(words.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")

    def shake_hands() -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake_hands)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=60)


def test_a_certificate_that_is_not_trusted_is_refused_at_once(tls_port: int) -> None:
    """A worker tried for a minute, and then said that Redis did not answer."""
    with pytest.raises(SettingsError, match=r"self-signed certificate.*ssl_ca_certs=") as caught:
        require_access(f"rediss://:secret@localhost:{tls_port}/0")
    assert "secret" not in caught.value.message


def test_a_redis_that_is_not_there_yet_is_waited_for_elsewhere(redis_server: RedisServer) -> None:
    redis_server.kill()
    require_access(redis_server.url)


def test_the_api_asks_a_silent_redis_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that hangs, or a network that swallows packets: no request waits for minutes."""
    monkeypatch.setattr(redis_client, "API_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            connect(f"redis://127.0.0.1:{port}/0") as redis,
            pytest.raises(QueueSilentError),
            redis_errors(),
        ):
            redis.ping()
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A second server."""
    (tmp_path / "other").mkdir()
    server = RedisServer(tmp_path / "other")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("for_worker", [False, True])
@pytest.mark.parametrize("in_script", [False, True])
def test_a_failover_is_followed_though_connections_stay_open(
    redis_server: RedisServer, other_redis: RedisServer, for_worker: bool, in_script: bool
) -> None:
    """The old primary goes on as a replica, and the address leads to the new one."""
    with (
        LossyProxy(redis_server.port) as proxy,
        Redis.from_url(redis_server.url) as old,
        connect(proxy.url, for_worker=for_worker) as redis,
    ):
        script = redis.register_script("return redis.call('SET', KEYS[1], ARGV[1])")

        def write(key: str) -> None:
            with redis_errors():
                if in_script:
                    script([key], [1])
                else:
                    redis.set(key, 1)

        write("a")
        old.replicaof("127.0.0.1", str(other_redis.port))
        proxy.lead_to(other_redis.port)
        write("b")
        with Redis.from_url(other_redis.url) as there:
            assert there.exists("b")


def test_a_replica_that_stays_one_is_told(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "API_RETRIES", 1)
    with Redis.from_url(redis_server.url) as admin, connect(redis_server.url) as redis:
        admin.replicaof("127.0.0.1", str(free_port()))
        with pytest.raises(QueueUnavailableError, match="must lead to its primary"), redis_errors():
            redis.set("a", 1)


def test_the_api_outlives_a_restart_of_redis(redis_server: RedisServer) -> None:
    with connect(redis_server.url) as redis:
        redis.set("a", 1)
        redis_server.restart()
        assert redis.get("a") == b"1"
