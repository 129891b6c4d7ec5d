"""The connection to Redis: what is told at once, and what is tried again."""

import socket

import pytest
from redis import Redis

from services.contract import redis_client
from services.contract.errors import QueueSilentError, SettingsError
from services.contract.redis_client import connect, redis_errors, refuse_wrong_password
from tests.redis_server import RedisServer


@pytest.mark.parametrize("given", ["", ":wrong@", "nobody:right@"])
def test_a_wrong_or_missing_password_is_refused_at_once(
    redis_server: RedisServer, given: str
) -> None:
    with Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", "right")
    with pytest.raises(SettingsError, match="refuses the password") as caught:
        refuse_wrong_password(redis_server.url.replace("://", f"://{given}"))
    assert "wrong" not in caught.value.message
    refuse_wrong_password(redis_server.url.replace("://", "://:right@"))


def test_a_redis_that_is_not_there_yet_is_waited_for_elsewhere(redis_server: RedisServer) -> None:
    redis_server.kill()
    refuse_wrong_password(redis_server.url)


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


def test_the_api_outlives_a_restart_of_redis(redis_server: RedisServer) -> None:
    with connect(redis_server.url) as redis:
        redis.set("a", 1)
        redis_server.restart()
        assert redis.get("a") == b"1"
