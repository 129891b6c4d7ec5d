"""How many uploads per second the API takes, beside a bare route that only stores the bytes.

    python -m benchmarks.uploads [--seconds 5] [--clients 8] [--megabytes 1024]

All take turns in rounds, fed by the same raw-socket clients with the same multipart bodies (WAV of
several lengths). The bare route, one process, streams the body to a file and syncs it; the API also
checks, parses, hashes, looks at the header, records the job and queues it. It runs as one process
and as two (STT_API_PROCESSES). Between them stands a route that is nothing but the libraries
(library_upload.py), one process: the limit for whatever is built on them. Before that, one large
upload shows what it adds to the API's memory.
"""

import argparse
import io
import socket
import statistics
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server, api_server, multipart, request_head, require_success
from tests.redis_server import RedisServer, free_port

ROUNDS = 3
LENGTHS_S = (5.0, 60.0, 600.0)
TARGET_SHARE = 0.5
TARGET_MEMORY_MB = 50
BARE = "benchmarks.bare_upload:app"
LIBRARIES = "benchmarks.library_upload:app"


def main() -> int:
    """Measure and print; exit code 1 if a target is missed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as routes:
        # First, while the API's memory has not grown from anything else.
        grown_mb = memory_growth(routes["api"].server, options.megabytes)
        print(f"uploads per second, {options.clients} clients, median of {ROUNDS} rounds:")
        print("  recording       body    bare  libraries          API  2 processes")
        shares = [compare(routes, length, options) for length in LENGTHS_S]
    print(f"target for the API, one process: at least {TARGET_SHARE:.0%} of the bare route")
    print(
        f"a {options.megabytes} MB upload adds {grown_mb:.0f} MB to the API's memory, "
        f"target at most {TARGET_MEMORY_MB} MB"
    )
    return 0 if min(shares) >= TARGET_SHARE and grown_mb <= TARGET_MEMORY_MB else 1


@dataclass(frozen=True)
class Route:
    """Where one of the compared routes takes uploads."""

    server: Server
    path: str


def compare(routes: Mapping[str, Route], length_s: float, options: argparse.Namespace) -> float:
    """Measure all in turn with recordings of one length; print and return the API's share."""
    body = multipart(wav(length_s))
    rates: dict[str, list[float]] = {name: [] for name in routes}
    for _ in range(ROUNDS):
        for name, route in routes.items():
            port = route.server.port
            rates[name].append(rate(port, route.path, body, options.clients, options.seconds))
    median = {name: statistics.median(found) for name, found in rates.items()}
    share = {name: median[name] / median["bare"] for name in median}
    print(
        f"  {length_s:7.0f} s  {len(body) / 1e6:7.2f} MB  {median['bare']:6.0f}"
        + "".join(f"  {median[n]:4.0f} {share[n]:5.0%}" for n in ("libraries", "api", "apis")),
        flush=True,
    )
    return share["api"]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one round")
    parser.add_argument("--clients", type=int, default=8, help="connections at once")
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the large upload")
    return parser.parse_args()


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, Route]]:
    """Run Redis, the two routes to compare with, and the API twice."""
    redis = RedisServer(folder)
    redis.start()
    bare = route_server(BARE, BARE_UPLOAD_DIR=made(folder / "bare"))
    libraries = route_server(
        LIBRARIES,
        LIBRARY_UPLOAD_DIR=made(folder / "libraries"),
        LIBRARY_UPLOAD_REDIS_URL=redis.url,
    )
    # The libraries' jobs wait in a queue of their own.
    limit = {"STT_QUEUE_LIMIT": "10000000"}
    api = api_server(folder, redis.url, **limit)
    apis = api_server(folder, redis.url, **limit, STT_API_PROCESSES="2")
    try:
        bare.wait("/")
        libraries.wait("/")
        api.wait("/healthz")
        apis.wait("/healthz")
        yield {
            "bare": Route(bare, "/upload"),
            "libraries": Route(libraries, "/upload"),
            "api": Route(api, "/v1/jobs"),
            "apis": Route(apis, "/v1/jobs"),
        }
    finally:
        for server in (bare, libraries, api, apis):
            server.stop()
        redis.stop()


def route_server(application: str, **environ: str) -> Server:
    """Serve an application as the API is served: one process of uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port)]
    return Server([*command, "--no-access-log", "--log-level", "error"], environ, port)


def made(folder: Path) -> str:
    """Make a folder and return its path."""
    folder.mkdir()
    return str(folder)


def wav(seconds: float) -> bytes:
    """Return a silent recording."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * round(16_000 * seconds)))
    return target.getvalue()


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
