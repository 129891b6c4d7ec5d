"""How many uploads per second the API takes, beside a bare route that only stores the bytes.

    python -m benchmarks.uploads [--seconds 5] [--clients 8] [--megabytes 1024]

Both run as one process each, one after the other in rounds, fed by the same raw-socket clients with
the same multipart bodies (a 5 s WAV each). The bare route streams the body to a file and syncs
it; the API also checks, parses, hashes, looks at the header, records the job and queues it. Then
one large upload shows what it adds to the API's memory.
"""

import argparse
import http.client
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.redis_server import RedisServer, free_port

BOUNDARY = "benchmark-boundary"
ROUNDS = 3
TARGET_SHARE = 0.5
TARGET_MEMORY_MB = 50
BARE = "benchmarks.bare_upload:app"


def main() -> int:
    """Measure and print; exit code 1 if a target is missed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as (bare, api):
        body = multipart(wav(5.0))
        rates: dict[str, list[float]] = {"bare": [], "api": []}
        for _ in range(ROUNDS):
            for name, port, path in (("bare", bare.port, "/upload"), ("api", api.port, "/v1/jobs")):
                rates[name].append(rate(port, path, body, options.clients, options.seconds))
        grown_mb = memory_growth(api, options.megabytes)
    bare_rate, api_rate = (statistics.median(rates[name]) for name in ("bare", "api"))
    share = api_rate / bare_rate
    print(f"uploads per second, {len(body) / 1e3:.0f} kB each, {options.clients} clients:")
    print(f"  bare Starlette route  {bare_rate:8.0f}   rounds {[round(r) for r in rates['bare']]}")
    print(f"  whisper-sv API        {api_rate:8.0f}   rounds {[round(r) for r in rates['api']]}")
    print(f"  share                 {share:8.0%}   target at least {TARGET_SHARE:.0%}")
    print(
        f"a {options.megabytes} MB upload adds {grown_mb:.0f} MB to the API's memory, "
        f"target at most {TARGET_MEMORY_MB} MB"
    )
    return 0 if share >= TARGET_SHARE and grown_mb <= TARGET_MEMORY_MB else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one round")
    parser.add_argument("--clients", type=int, default=8, help="connections at once")
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the large upload")
    return parser.parse_args()


class Server:
    """One HTTP server process."""

    def __init__(self, command: list[str], environ: dict[str, str], port: int) -> None:
        """Start it."""
        self.port = port
        self.process = subprocess.Popen(command, env={**os.environ, **environ})

    def wait(self, path: str) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", path)
                connection.getresponse().read()
                return
            except OSError:
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


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Run Redis, the bare route and the API."""
    redis = RedisServer(folder)
    redis.start()
    (folder / "bare").mkdir()
    ports = free_port(), free_port()
    bare_command = [sys.executable, "-m", "uvicorn", BARE, "--port", str(ports[0])]
    bare_command += ["--no-access-log", "--log-level", "error"]
    bare = Server(bare_command, {"BARE_UPLOAD_DIR": str(folder / "bare")}, ports[0])
    settings = {
        "STT_REDIS_URL": redis.url,
        "STT_PORT": str(ports[1]),
        "STT_AUDIO_STORE_URL": f"file://{folder}/audio",
        "STT_MODELS_DIR": str(folder / "models"),
        "STT_QUEUE_LIMIT": "10000000",
        "STT_LOG_LEVEL": "ERROR",
    }
    api = Server([sys.executable, "-m", "services.api"], settings, ports[1])
    try:
        bare.wait("/")
        api.wait("/healthz")
        yield bare, api
    finally:
        bare.stop()
        api.stop()
        redis.stop()


def wav(seconds: float) -> bytes:
    """Return a silent recording."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * round(16_000 * seconds)))
    return target.getvalue()


def multipart(recording: bytes) -> bytes:
    """Return a form with the recording."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="language"\r\n\r\nsv\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return head.encode() + recording + f"\r\n--{BOUNDARY}--\r\n".encode()


def rate(port: int, path: str, body: bytes, n_clients: int, seconds: float) -> float:
    """Return uploads per second of clients that send one after the other."""
    message = request_head(path, len(body)) + body
    counts = [0] * n_clients
    began = time.monotonic()
    end = began + seconds

    def send_all(place: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < end:
                connection.sendall(message)
                require_success(connection)
                counts[place] += 1

    threads = [threading.Thread(target=send_all, args=(i,)) for i in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


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


def memory_growth(api: Server, megabytes: int) -> float:
    """Return how much the API's memory grows at most during one large upload."""
    block = bytes(1024 * 1024)
    n_bytes = megabytes * len(block)
    # A minute of 8-channel audio at 192 kHz and 64 bits weighs 700 MB: large, yet not too long.
    header = large_wav_header(n_bytes)
    head, tail = multipart(header).split(header)
    before = api.memory_mb()
    most = before
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        length = len(head) + len(header) + n_bytes + len(tail)
        connection.sendall(request_head("/v1/jobs", length) + head + header)
        for _ in range(megabytes):
            connection.sendall(block)
            most = max(most, api.memory_mb())
        connection.sendall(tail)
        require_success(connection)
    return max(most, api.memory_mb()) - before


def large_wav_header(n_bytes: int) -> bytes:
    """Return the header of a WAV file with so many bytes of samples."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(8)
        file.setsampwidth(4)
        file.setframerate(192_000)
        file.writeframes(b"")
    header = bytearray(target.getvalue())
    header[4:8] = (36 + n_bytes).to_bytes(4, "little")
    header[40:44] = n_bytes.to_bytes(4, "little")
    return bytes(header)


if __name__ == "__main__":
    sys.exit(main())
