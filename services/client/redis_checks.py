"""Is Redis there, does it take and keep what it is given, and does its clock agree with ours?"""

import time
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from services.client.findings import Finding, bad, good, warning
from services.contract.redis_client import ReplicaError, connect

MAX_SKEW_S = 5.0
OLDEST = (6, 2)


def check_redis(url: SecretStr) -> Iterator[Finding]:
    """Look at the Redis that the settings name."""
    try:
        with connect(url) as redis:
            info: dict[str, Any] = redis.info()
            yield _version(str(info["redis_version"]))
            yield _clock(redis)
            yield _writes(redis)
            yield _persistence(info)
            yield _eviction(info)
    except RedisError as error:
        reason = str(error) or type(error).__name__
        yield bad("Redis", f"no answer: {reason}", "start it, or correct STT_REDIS_URL")


def _version(version: str) -> Finding:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return bad("Redis", f"version {version}", "use Redis 6.2 or newer")
    return good("Redis", f"version {version}")


def _clock(redis: Redis) -> Finding:
    before = time.time()
    seconds, microseconds = redis.time()
    ours = (before + time.time()) / 2
    skew_s = abs(seconds + microseconds / 1e6 - ours)
    if skew_s > MAX_SKEW_S:
        return bad("Clock", f"{skew_s:.0f} s from Redis's", "turn on time synchronisation (NTP)")
    return good("Clock", f"{skew_s:.1f} s from Redis's")


def _writes(redis: Redis) -> Finding:
    """Write what /readyz writes: only so a full one, a replica or a limited user shows itself."""
    try:
        redis.set("stt:ready", "1", ex=60)
    except (ReplicaError, ResponseError) as error:
        cure = "its `maxmemory`, the address of its primary, or what its user may do"
        return bad("Writes", f"refused: {error}", cure)
    return good("Writes", "taken")


def _persistence(info: dict[str, Any]) -> Finding:
    if not info.get("aof_enabled"):
        return bad(
            "Persistence",
            "append-only file off: a restart of Redis loses jobs",
            "set `appendonly yes` in redis.conf",
        )
    if info.get("aof_last_write_status") != "ok":
        return bad("Persistence", "the append-only file cannot be written", "make room on its disk")
    return good("Persistence", "append-only file on")


def _eviction(info: dict[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", "unknown"))
    used = f"{info.get('used_memory_human', '?')} used"
    if policy != "noeviction":
        return bad(
            "Eviction",
            f"policy {policy}: Redis may forget jobs when its memory is full",
            "set `maxmemory-policy noeviction` in redis.conf",
        )
    limit, used_bytes = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used_bytes > 0.8 * limit:
        return warning("Eviction", f"none; {used} of its limit", "raise `maxmemory`")
    return good("Eviction", f"none; {used}")
