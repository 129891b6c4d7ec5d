"""A real redis-server for one machine: configured and addressed, kept in the data folder.

It listens on a private Unix socket alone, writes every change to its append-only file, and never
evicts: it holds jobs, not a cache.
"""

import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.client import redis_binary
from services.client.child_process import ChildPlan, wait_until
from services.contract.errors import ServiceError

#: The kernel's limit for a socket's path is 108 bytes on Linux and 104 on macOS.
MAX_SOCKET_PATH_BYTES = 100
#: Others mean something in an address of Redis, or in its list of clients, which RQ reads.
PLAIN_PATH = re.compile(r"[\w/.,@~+-]+")
#: A killed predecessor's Redis may still be writing its last changes.
LOCK_TIMEOUT_S = 5.0


def socket_path(data_dir: Path) -> Path:
    """Return where the Redis of a data folder listens; elsewhere if its path is long or odd."""
    folder = data_dir.resolve() / "redis"
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and PLAIN_PATH.fullmatch(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"whisper-sv-{os.getuid()}-{digest}" / "redis.sock"


def url(data_dir: Path) -> str:
    """Return the address of the Redis of a data folder."""
    return f"unix://{socket_path(data_dir)}?db=0"


def plan(data_dir: Path, environ: dict[str, str], lock: int) -> ChildPlan:
    """Say how to start the Redis of a data folder.

    Args:
        data_dir: its files go to `redis` in it.
        environ: its environment.
        lock: descriptor of `locked`; Redis holds it too, so that the folder stays locked until
            the last change is written, even when `up` was killed.
    """
    folder = data_dir.resolve() / "redis"
    socket = socket_path(data_dir)
    # Its files hold the transcripts, and it lets everybody read them.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):  # Of an early version, or unpacked by somebody else.
        folder.chmod(folder.stat().st_mode & 0o770)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise ServiceError(
            f"{socket.parent} belongs to somebody else; choose a shorter or plainer --data-dir"
        )
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    command = [redis_binary.for_folder(folder)]
    for name, value in options.items():
        command += [f"--{name}", value]
    return ChildPlan("redis", command, environ, data_dir / "logs" / "redis.log", (lock,))


def answers(address: str) -> bool:
    """Whether the Redis there is up and has read its files."""
    no_retry = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(address, socket_timeout=2, retry=no_retry) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def locked(data_dir: Path, check: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold a data folder for one `up`; yield the lock's descriptor.

    Args:
        data_dir: the folder.
        check: called often while this waits; what it raises ends the wait.

    Raises:
        ServiceError: another one holds it.
    """

    def is_held() -> bool:
        check()
        return _try_lock(file.fileno())

    with (data_dir / "up.lock").open("w") as file:
        if not wait_until(is_held, LOCK_TIMEOUT_S):
            raise ServiceError(
                f"Another `whisper-sv up` uses {data_dir}; stop it, or give another --data-dir"
            )
        yield file.fileno()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
