"""Every bad recording: a typed error in the envelope, the service alive, nothing left on disk.

One API and one worker serve the whole module: that they still answer afterwards is part of what is
tested.
"""

import json
import random
import socket
import struct
from pathlib import Path

import httpx
import pytest

from tests.api.recordings import CODECS, browser_webm, encoded, wav
from tests.api.refusals import MAX_AUDIO_S, MAX_BYTES, ROUTES, require_error, send
from tests.api.running_api import RunningApi
from tests.waiting import wait_until


def random_bytes() -> bytes:
    return random.Random(7).randbytes(20_000)


NOT_AUDIO = {
    "empty file": (b"", "empty_audio"),
    "one byte": (b"x", "unsupported_audio"),
    "random bytes": (random_bytes(), "unsupported_audio"),
    "text named wav": (b"Detta \xc3\xa4r text, inte ljud.\n" * 50, "unsupported_audio"),
    "wav without samples": (wav(0.0), "empty_audio"),
    "wav header alone": (wav(1.0)[:44], "empty_audio"),
    "wav cut in its header": (wav(1.0)[:30], "unsupported_audio"),
    "riff that is not wave": (b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(100), "unsupported_audio"),
    "m4a without its index": (encoded("m4a")[:600], "unsupported_audio"),
    "video without audio": (encoded("mp4", video=True, audio=False), "unsupported_audio"),
    "a playlist": (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        "unsupported_audio",
    ),
    "a concat script": (b"ffconcat version 1.0\nfile /etc/passwd\n", "unsupported_audio"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("what", NOT_AUDIO)
def test_what_is_not_audio_is_refused(strict_client: httpx.Client, route: str, what: str) -> None:
    body, code = NOT_AUDIO[what]
    require_error(send(strict_client, route, body), 400, code, "file")


def lying(declared: int) -> bytes:
    """A second of WAV whose header says another length."""
    body = bytearray(wav(1.0))
    struct.pack_into("<I", body, 40, declared)
    return bytes(body)


TRUNCATED = {suffix: encoded(suffix, 2.0)[:-1500] for suffix in ("mp3", "ogg", "webm", "flac")}
ODD_AUDIO = {
    "20 ms": (wav(0.02), 0.02),
    "8 kHz": (wav(1.0, rate=8_000), 1.0),
    "192 kHz": (wav(1.0, rate=192_000), 1.0),
    "7.1 channels": (wav(1.0, channels=8), 1.0),
    "float64": (wav(1.0, kind="f64"), 1.0),
    "float32": (wav(1.0, kind="f32"), 1.0),
    "says it is longer": (lying(0x7FFFFFFF), 1.0),
    "says it is endless": (lying(0xFFFFFFFF), 1.0),
    "browser recording": (browser_webm(2.0), 2.0),
    "video with audio": (encoded("mp4", video=True), 1.0),
    **{suffix: (encoded(suffix), 1.0) for suffix in CODECS},
}


@pytest.mark.parametrize("what", ODD_AUDIO)
def test_odd_audio_is_accepted_with_its_true_duration(strict_api: RunningApi, what: str) -> None:
    body, seconds = ODD_AUDIO[what]
    with strict_api.client() as http:
        answer = send(http, "/v1/jobs", body, "odd")
        assert answer.status_code == 202, answer.text
        assert answer.json()["audio"]["duration"] == pytest.approx(seconds, abs=0.15)
        assert http.delete(answer.headers["location"]).status_code == 200
    assert answer.json()["audio"]["sha256"]


@pytest.mark.parametrize("suffix", TRUNCATED)
def test_truncated_audio_gives_what_is_there_or_a_typed_error(
    strict_api: RunningApi, suffix: str
) -> None:
    with strict_api.client() as http:
        answer = send(http, "/v1/jobs", TRUNCATED[suffix], f"cut.{suffix}")
        assert answer.status_code in (202, 400), answer.text
        if answer.status_code == 202:
            assert 0 < answer.json()["audio"]["duration"] < 2.1
            http.delete(answer.headers["location"])
        else:
            require_error(answer, 400, "unsupported_audio", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_too_long_a_recording_is_refused(strict_client: httpx.Client, route: str) -> None:
    body = wav(MAX_AUDIO_S + 1.0, rate=8_000)
    require_error(send(strict_client, route, body), 400, "audio_too_long", "file")


def test_a_header_that_understates_its_audio_does_not_pass_the_limit(
    strict_client: httpx.Client,
) -> None:
    body = bytearray(encoded("mp3", MAX_AUDIO_S + 5.0))
    # The frame count of the header that players read a duration from.
    frames_at = max(body.find(b"Xing"), body.find(b"Info")) + 8
    assert struct.unpack_from(">I", body, frames_at)[0] > 2000
    struct.pack_into(">I", body, frames_at, 50)
    require_error(send(strict_client, "/v1/jobs", bytes(body)), 400, "audio_too_long", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_too_large_an_upload_is_refused_by_its_declared_length(
    strict_client: httpx.Client, route: str
) -> None:
    answer = send(strict_client, route, bytes(MAX_BYTES + 2**21))
    require_error(answer, 413, "upload_too_large", "file")
    assert "larger than 1.9 MiB" in answer.json()["error"]["message"]


def test_a_client_can_know_what_is_too_large_before_it_sends(strict_client: httpx.Client) -> None:
    assert strict_client.get("/v1/models").json()["max_upload_bytes"] == MAX_BYTES


def test_too_large_an_upload_is_refused_without_a_declared_length(
    strict_client: httpx.Client,
) -> None:
    blocks = (bytes(2**16) for _ in range(100))
    answer = strict_client.post("/v1/jobs", content=blocks, headers={"content-type": "audio/wav"})
    require_error(answer, 413, "upload_too_large", "file")


def open_upload(api: RunningApi, length: int = 1_000_000) -> socket.socket:
    """Begin an upload and send a part of it."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=60)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    connection.sendall(head.encode() + b"Content-Type: audio/wav\r\n\r\n" + wav(10.0)[:300_000])
    return connection


def read_error(connection: socket.socket) -> dict[str, str]:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_an_upload_that_stalls_times_out(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, upload_idle_timeout_s=1) as api:
        with open_upload(api) as connection:
            error = read_error(connection)
        wait_until(lambda: api.stored() == [], what="an empty store")
    assert error["code"] == "upload_timeout"
    assert "nothing for 1 s" in error["message"]


def test_an_upload_that_drips_times_out(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, upload_timeout_s=3) as api:
        with open_upload(api) as connection:
            connection.settimeout(0.3)
            for _ in range(200):
                connection.sendall(b"x")
                try:
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                except TimeoutError:
                    continue
            connection.settimeout(60)
            error = read_error(connection)
        wait_until(lambda: api.stored() == [], what="an empty store")
    assert error["code"] == "upload_timeout"
    assert "longer than 3 s" in error["message"]


def test_a_client_that_goes_away_leaves_nothing(
    strict_client: httpx.Client, strict_api: RunningApi
) -> None:
    open_upload(strict_api).close()
    wait_until(
        lambda: not [n for n in strict_api.stored() if n.startswith(".")],
        what="cleanup",
    )


def test_the_error_is_read_though_the_body_was_not(
    strict_client: httpx.Client, strict_api: RunningApi
) -> None:
    """The connection is not reset while the client still sends."""
    n_bytes = 16 * 2**20
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {n_bytes}\r\n"
    with socket.create_connection(("127.0.0.1", strict_api.port), timeout=60) as connection:
        connection.sendall(head.encode() + b"Content-Type: text/x\r\n\r\n" + bytes(n_bytes))
        assert read_error(connection)["code"] == "upload_too_large"
