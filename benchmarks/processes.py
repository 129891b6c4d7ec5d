"""The processes that the benchmarks measure, and clients that cost little themselves."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.redis_server import RedisServer, free_port

BOUNDARY = "benchmark-boundary"
#: Longest start of a process, on a machine that has other work too.
START_S = 180.0


class Server:
    """One HTTP server process."""

    def __init__(self, command: list[str], environ: dict[str, str], port: int) -> None:
        """Start it."""
        self.port = port
        self.process = subprocess.Popen(command, env={**os.environ, **environ})

    def wait(self, path: str) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status == 200 or path == "/":
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the server did not start")

    def memory_mb(self) -> float:
        """Return the resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


def api_server(folder: Path, redis_url: str, **settings: str) -> Server:
    """Start the API on a free port."""
    port = free_port()
    environ = stack_settings(folder, redis_url) | {"STT_PORT": str(port)} | settings
    return Server([sys.executable, "-m", "services.api"], environ, port)


def stack_settings(folder: Path, redis_url: str) -> dict[str, str]:
    """Return what API and worker must agree on."""
    return {
        "STT_REDIS_URL": redis_url,
        "STT_AUDIO_STORE_URL": f"file://{folder}/audio",
        "STT_MODELS_DIR": str(folder / "models"),
        "STT_LOG_LEVEL": "WARNING",
    }


@contextmanager
def stack(folder: Path, model: str, environ: Mapping[str, str]) -> Iterator[Server]:
    """Run Redis, API and worker; yield the API once the worker is ready."""
    redis = RedisServer(folder)
    redis.start()
    shared = stack_settings(folder, redis.url) | {"STT_MODEL": model, **environ}
    api = api_server(folder, redis.url, STT_READY_REQUIRES_WORKER="true", **shared)
    worker = Server([sys.executable, "-m", "services.worker"], shared, 0)
    try:
        api.wait("/readyz")
        yield api
    finally:
        worker.stop()
        api.stop()
        redis.stop()


def multipart(recording: bytes) -> bytes:
    """Return a form with the recording."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="language"\r\n\r\nsv\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return head.encode() + recording + f"\r\n--{BOUNDARY}--\r\n".encode()


def request_head(path: str, n_bytes: int) -> bytes:
    """Return the head of an upload request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {n_bytes}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode()


def require_success(connection: socket.socket) -> None:
    """Read one answer, which must be 2xx."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, rest = answer.partition(b"\r\n\r\n")
    if head[9:10] != b"2":
        raise RuntimeError(answer[:500].decode())
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    left = int(lengths[0].split(b":")[1]) - len(rest)
    while left > 0:
        left -= len(connection.recv(min(left, 65536)))
