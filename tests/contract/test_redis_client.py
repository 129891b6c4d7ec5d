"""The connection to Redis: a wrong password is told at once, and only that."""

import pytest
from redis import Redis

from services.contract.errors import SettingsError
from services.contract.redis_client import refuse_wrong_password
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
