"""What `doctor` says about a Redis that answers and takes no jobs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from pydantic import SecretStr
from redis import Redis

from services.client.findings import Finding, Verdict
from services.client.redis_checks import check_redis


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


@contextmanager
def a_replica(redis: Redis) -> Iterator[None]:
    redis.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        redis.replicaof("no", "one")


def writes(address: str) -> Finding:
    (found,) = [each for each in check_redis(SecretStr(address)) if each.subject == "Writes"]
    return found


def test_a_redis_that_takes_writes_is_well(redis_url: str) -> None:
    assert writes(redis_url).verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("state", "told"), [(full, "used memory > 'maxmemory'"), (a_replica, "read only replica")]
)
def test_a_redis_that_refuses_writes_is_bad(
    state: Callable[[Redis], AbstractContextManager[None]],
    told: str,
    redis_url: str,
    redis_client: Redis,
) -> None:
    with state(redis_client):
        found = writes(redis_url)
    assert found.verdict is Verdict.BAD and told in found.detail, found


def test_a_user_without_our_keys_is_bad(redis_url: str, redis_client: Redis) -> None:
    redis_client.acl_setuser(
        "limited", enabled=True, passwords=["+pw"], keys=["other:*"], categories=["+@all"]
    )
    try:
        found = writes(redis_url.replace("//", "//limited:pw@"))
    finally:
        redis_client.acl_deluser("limited")
    assert found.verdict is Verdict.BAD and "permissions" in found.detail, found
