"""The connection to Redis, and the border where its errors become ours."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from services.contract.errors import QueueSilentError, QueueUnavailableError, SettingsError

#: A worker outlives a minute without Redis: giving up sooner throws finished work away.
WORKER_RETRIES = 60
#: An API process whose Redis refuses connections answers 503 after about two seconds: its clients
#: can try again.
API_RETRIES = 4
#: One whose Redis is silent answers after this, and does not ask again: redis-py's tries at
#: connecting, greeting and asking would multiply to minutes.
API_TIMEOUT_S = 5.0
#: The replies of RESP3 have other shapes; one shape for every server and client version.
PROTOCOL = 2
#: More than any blocking read of ours; a Redis that swallows packets is noticed after this.
WORKER_TIMEOUT_S = 15.0
SILENT = "Redis does not answer; try again in a moment."


class ReplicaError(RedisConnectionError):
    """What answers takes no writes: the connection is closed, and the next one may lead on."""


def connect(url: SecretStr | str, *, for_worker: bool = False) -> Redis:
    """Build a client that tries again by itself; nothing is sent yet.

    Raises:
        SettingsError: the URL is not one that redis-py reads.
    """
    plain = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        client = Redis.from_url(
            plain,
            protocol=PROTOCOL,
            retry=_worker_retry() if for_worker else _api_retry(),
            socket_timeout=WORKER_TIMEOUT_S if for_worker else API_TIMEOUT_S,
            socket_connect_timeout=2.0,
            health_check_interval=30,
        )
    except ValueError as error:
        raise SettingsError(
            "STT_REDIS_URL is not a Redis address; use redis://host:6379/0"
        ) from error
    pool = client.connection_pool
    pool.connection_class = following(pool.connection_class)
    return client


def following(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return such connections that leave a server which has become a replica.

    After a failover the address leads to the new primary, but the old one may keep the connections
    that it has; redis-py would ask on them for ever.
    """

    class Following(kind):  # type: ignore[misc, valid-type]
        def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return super().read_response(*args, **options)
            except ResponseError as error:
                # What Redis 6 refuses within a script has no class of its own, only its text.
                if not (isinstance(error, ReadOnlyError) or "READONLY" in str(error)):
                    raise
                self.disconnect()
                raise ReplicaError(str(error)) from error

    return Following


def _worker_retry() -> Retry:
    return Retry(ExponentialBackoff(cap=1.0, base=0.05), WORKER_RETRIES)


def _api_retry() -> Retry:
    backoff = ExponentialBackoff(cap=1.0, base=0.1)
    return Retry(backoff, API_RETRIES, supported_errors=(RedisConnectionError,))


def require_access(url: SecretStr | str) -> None:
    """Try once, at the start of a process: what never will do it would try again in vain.

    A Redis that does not answer yet is no error here.

    Raises:
        SettingsError: Redis refuses the user or password of the URL, or wants one; or nobody whom
            this machine trusts vouches for its certificate.
    """
    plain = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        once = Retry(NoBackoff(), 0)
        with Redis.from_url(plain, retry=once, socket_connect_timeout=2.0, socket_timeout=2.0) as r:
            r.ping()
    except AuthenticationError as error:
        raise SettingsError(
            "Redis refuses the password in STT_REDIS_URL; correct it (REDIS_PASSWORD in compose)"
        ) from error
    except RedisConnectionError as error:
        if isinstance(error.__context__, ssl.SSLCertVerificationError):
            raise SettingsError(
                f"The certificate of Redis is not trusted: {error.__context__.verify_message}; "
                "?ssl_ca_certs=FILE at the end of STT_REDIS_URL names who vouches for it"
            ) from error
    except (RedisError, ValueError):
        return


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn what redis-py raises into QueueUnavailableError; also usable as a decorator.

    Raises:
        QueueSilentError: it did not answer after the client's own retries, one of which it may have
            heard, or may still hear.
        QueueUnavailableError: it refused.
    """
    try:
        yield
    except ReplicaError as error:
        raise QueueUnavailableError(
            "This Redis is a replica and takes no writes; STT_REDIS_URL must lead to its primary."
        ) from error
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise QueueSilentError(SILENT) from error
    except RedisError as error:
        raise QueueUnavailableError(
            f"Redis refused a command ({type(error).__name__}); look at its log and its memory."
        ) from error


def text(value: bytes | str) -> str:
    """Return a reply of Redis as text; clients of RQ must not decode by themselves."""
    return value.decode() if isinstance(value, bytes) else value
