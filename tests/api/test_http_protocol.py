"""Clients that offer another protocol, as Java's HttpClient does, and heads without end."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker

OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA"}
ROUTE = "/v1/audio/transcriptions"


def whole(body: bytes) -> bytes:
    return body


def chunked(body: bytes) -> Iterator[bytes]:
    yield body[:100]
    yield body[100:]


@pytest.mark.parametrize("sent", [whole, chunked])
def test_a_body_is_read_though_its_client_offers_http2(
    client: httpx.Client,
    worker: ScriptedWorker,
    sent: Callable[[bytes], bytes | Iterator[bytes]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    form = httpx.Request("POST", "http://x", files={"file": ("a.wav", wav())})
    kind, body = form.headers["content-type"], form.read()
    for headers in (OFFER, OFFER, {}):
        answer = client.post(ROUTE, content=sent(body), headers={"content-type": kind, **headers})
        assert answer.status_code == 200, answer.text
        assert client.get("/v1/models", headers=headers).status_code == 200
    assert "uvicorn.error" not in {line.name for line in caplog.records}


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_an_offer_may_come_in_pieces(api: RunningApi, size: int) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **OFFER}.items())
    request = f"POST /v1/jobs?filename=a HTTP/1.1\r\n{head}Content-Type: audio/wav\r\n"
    data = f"{request}Content-Length: 16044\r\n\r\n".encode() + wav(0.5)
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        for start in range(0, 400, size):
            connection.sendall(data[start : min(start + size, 400)])
        connection.sendall(data[400:])
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")


GET = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = (
    "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)
OFFERED = GET + "".join(f"{name}: {value}\r\n" for name, value in OFFER.items())


def require_health(connection: socket.socket, request: str) -> None:
    """Send a request and read its whole answer, which comes in one piece or two."""
    connection.sendall(request.encode())
    answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 200 ")
    while not answer.endswith(b'{"status":"ok"}'):
        answer += connection.recv(1000)


@pytest.mark.parametrize("before", ["", f"{GET}\r\n", f"{OFFERED}\r\n"], ids=range(3))
@pytest.mark.parametrize(
    "endless",
    [
        "GET /" + 200_000 * "a",
        GET + 30_000 * "a: b\r\n",
        f"{CHUNKED}1\r\na\r\n0\r\n" + 30_000 * "a: b\r\n",
    ],
    ids=["address", "head", "trailers"],
)
def test_lines_without_end_are_refused(api: RunningApi, before: str, endless: str) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        if before:
            require_health(connection, before)
        with suppress(ConnectionError):
            for start in range(0, len(endless), 10_000):
                connection.sendall(endless[start : start + 10_000].encode())
            # To its end, in however many pieces: the connection is closed behind it.
            with connection.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", ["", f"{GET}\r\n", f"{OFFERED}\r\n"], ids=range(3))
@pytest.mark.parametrize("begun", ["", GET], ids=range(2))
def test_a_connection_whose_next_head_never_ends_is_closed(
    api: RunningApi, before: str, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.server.config, "timeout_keep_alive", 0.5)
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        if before:
            require_health(connection, before)
        connection.sendall(begun.encode())
        assert connection.recv(1000) == b""


def test_a_slow_answer_outlives_the_wait_for_a_head(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.server.config, "timeout_keep_alive", 0.2)
    link = client.post("/v1/jobs", files={"file": ("a.wav", wav(0.1))}).json()["links"]["events"]
    with client.stream("GET", link) as stream:
        events = stream.iter_lines()
        assert next(events).startswith("id:")
        time.sleep(0.6)
        client.post(link.replace("events", "cancel"))
        assert "event: done" in list(events)


def test_a_method_of_the_clients_own_is_no_series_in_metrics(
    api: RunningApi, client: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        connection.sendall(f"{OFFERED}\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"FOO /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 405 ")
    told = client.get("/metrics").text
    assert 'method="other"' in told and "FOO" not in told


def test_a_body_in_tiny_pieces_is_not_taken_for_lines_without_end(api: RunningApi) -> None:
    data = wav(0.5)
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        connection.sendall(CHUNKED.encode())
        for byte in data:
            connection.sendall(b"1;%s\r\n" % (200 * b"x"))
            connection.sendall(b"%c\r\n" % byte)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")
