"""Every bad input: a typed error in the envelope, the service alive, nothing left on disk.

One API and one worker serve the whole module: that they still answer afterwards is part of what is
tested.
"""

import json
import random
import socket
import struct
from collections.abc import Iterator

import httpx
import pytest

from tests.api.recordings import CODECS, browser_webm, encoded, wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.conftest import RedisServer
from tests.waiting import wait_until

ROUTES = ("/v1/audio/transcriptions", "/v1/jobs")
MAX_BYTES = 2_000_000
MAX_AUDIO_S = 60


@pytest.fixture(scope="module")
def api(
    _shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("bad-input")
    limits = {"max_upload_bytes": MAX_BYTES, "max_audio_s": MAX_AUDIO_S}
    times = {"upload_idle_timeout_s": 1.0, "upload_timeout_s": 3.0}
    with (
        ScriptedWorker(_shared_redis.url),
        RunningApi(_shared_redis.url, folder, **limits, **times) as running,
    ):
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    """A client; after the test the service must answer and the store be as it was."""
    before = api.stored()
    with api.client() as http:
        yield http
        assert http.get("/healthz").status_code == 200
    wait_until(lambda: api.stored() == before, timeout_s=5, what="an empty store")


def require_error(answer: httpx.Response, status: int, code: str, param: str | None = None) -> None:
    """The answer is this error, in OpenAI's envelope and with its headers."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["message"] and "Traceback" not in error["message"]
    if param is not None:
        assert error["param"] == param
    assert answer.headers["x-request-id"]
    assert answer.headers["x-should-retry"] in ("true", "false")


def send(
    client: httpx.Client, route: str, body: bytes, name: str = "a.wav", **fields: object
) -> httpx.Response:
    return client.post(route, data=fields, files={"file": (name, body, "audio/wav")})


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
def test_what_is_not_audio_is_refused(client: httpx.Client, route: str, what: str) -> None:
    body, code = NOT_AUDIO[what]
    require_error(send(client, route, body), 400, code, "file")


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
def test_odd_audio_is_accepted_with_its_true_duration(api: RunningApi, what: str) -> None:
    body, seconds = ODD_AUDIO[what]
    with api.client() as http:
        answer = send(http, "/v1/jobs", body, "odd")
        assert answer.status_code == 202, answer.text
        assert answer.json()["audio"]["duration"] == pytest.approx(seconds, abs=0.15)
        assert http.delete(answer.headers["location"]).status_code == 200
    assert answer.json()["audio"]["sha256"]


@pytest.mark.parametrize("suffix", TRUNCATED)
def test_truncated_audio_gives_what_is_there_or_a_typed_error(api: RunningApi, suffix: str) -> None:
    with api.client() as http:
        answer = send(http, "/v1/jobs", TRUNCATED[suffix], f"cut.{suffix}")
        assert answer.status_code in (202, 400), answer.text
        if answer.status_code == 202:
            assert 0 < answer.json()["audio"]["duration"] < 2.1
            http.delete(answer.headers["location"])
        else:
            require_error(answer, 400, "unsupported_audio", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_too_long_a_recording_is_refused(client: httpx.Client, route: str) -> None:
    body = wav(MAX_AUDIO_S + 1.0, rate=8_000)
    require_error(send(client, route, body), 400, "audio_too_long", "file")


def test_a_header_that_understates_its_audio_does_not_pass_the_limit(client: httpx.Client) -> None:
    body = bytearray(encoded("mp3", MAX_AUDIO_S + 5.0))
    # The frame count of the header that players read a duration from.
    frames_at = max(body.find(b"Xing"), body.find(b"Info")) + 8
    assert struct.unpack_from(">I", body, frames_at)[0] > 2000
    struct.pack_into(">I", body, frames_at, 50)
    require_error(send(client, "/v1/jobs", bytes(body)), 400, "audio_too_long", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_too_large_an_upload_is_refused_by_its_declared_length(
    client: httpx.Client, route: str
) -> None:
    require_error(send(client, route, bytes(MAX_BYTES + 2**21)), 413, "upload_too_large", "file")


def test_too_large_an_upload_is_refused_without_a_declared_length(client: httpx.Client) -> None:
    blocks = (bytes(2**16) for _ in range(100))
    answer = client.post("/v1/jobs", content=blocks, headers={"content-type": "audio/wav"})
    require_error(answer, 413, "upload_too_large", "file")


FIELDS = {
    "model": ("gpt-5", 404, "model_not_found"),
    "language": ("klingon", 400, "unsupported_language"),
    "languages[]": ("sv,xx", 400, "unsupported_language"),
    "temperature": ("3", 400, "invalid_options"),
    "beam_size": ("hundra", 400, "invalid_options"),
    "timestamp_granularities[]": ("syllable", 400, "invalid_options"),
    "chunking_strategy": ("sometimes", 400, "invalid_options"),
    "chunking_strategy[threshold]": ("7", 400, "invalid_options"),
    "vad_filter": ("perhaps", 400, "invalid_options"),
    "mode": ("quantum", 400, "invalid_options"),
    "prompt": ("x" * 5000, 400, "prompt_too_long"),
    "keywords": ("x" * 5000, 400, "prompt_too_long"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("field", FIELDS)
def test_unknown_values_name_their_field(client: httpx.Client, route: str, field: str) -> None:
    value, status, code = FIELDS[field]
    answer = send(client, route, wav(0.1), **{field: value})
    require_error(answer, status, code, field.split("[")[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response_format", "docx"),
        ("response_format", "diarized_json"),
        ("include[]", "everything"),
        ("stream", "maybe"),
    ],
)
def test_unknown_values_of_openai_fields(client: httpx.Client, field: str, value: str) -> None:
    answer = send(client, ROUTES[0], wav(0.1), **{field: value})
    require_error(answer, 400, "invalid_options", field.split("[")[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", "urgent"), ("batch", "a/b\n"), ("task", "summarise"), ("vad", "[1]")],
)
def test_unknown_values_of_job_fields(client: httpx.Client, field: str, value: str) -> None:
    answer = send(client, ROUTES[1], wav(0.1), **{field: value})
    require_error(answer, 400, "invalid_options", field)


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_values_mean_not_given(api: RunningApi, empty: str) -> None:
    with api.client() as http:
        answer = send(http, "/v1/jobs", wav(0.1), language=empty, temperature=empty, batch=empty)
        assert answer.status_code == 202
        assert answer.json()["options"]["language"] is None
        http.delete(answer.headers["location"])


NAMES = {
    "../../x.wav": "x.wav",
    "C:\\temp\\x.wav": "x.wav",
    "a\x00b.wav": "ab.wav",
    "x" * 5000 + ".wav": "x" * 196 + ".wav",
    "mötet 🎤.wav": "mötet 🎤.wav",
    "..": "",
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_file_names_are_cleaned(api: RunningApi, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode()
    body = head + b'"\r\n\r\n' + wav(0.1) + b"\r\n--b--\r\n"
    with api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.status_code in (202, 400), answer.text
        if answer.status_code == 202:
            assert answer.json()["audio"]["filename"] == NAMES[name]
            http.delete(answer.headers["location"])
    assert all(len(stored) == 32 for stored in api.stored())


def test_names_in_the_encoding_of_older_clients_are_read(api: RunningApi) -> None:
    """The library requests writes names so that are not ASCII."""
    head = b"--b\r\nContent-Disposition: form-data; name=file; filename*=utf-8''m%C3%B6te%2Fa.wav"
    body = head + b"\r\n\r\n" + wav(0.1) + b"\r\n--b--\r\n"
    with api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.json()["audio"]["filename"] == "a.wav"
        http.delete(answer.headers["location"])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_wrong_content_types_are_refused(
    client: httpx.Client, route: str, content_type: str
) -> None:
    answer = client.post(route, content=b"{}", headers={"content-type": content_type})
    require_error(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("route", ROUTES)
def test_compressed_bodies_are_refused(client: httpx.Client, route: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip"}
    answer = client.post(route, content=b"\x1f\x8b", headers=headers)
    require_error(answer, 415, "unsupported_media_type")
    assert "Content-Encoding" in answer.json()["error"]["message"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_form_without_a_file_is_refused(client: httpx.Client, route: str) -> None:
    answer = client.post(route, files={"model": (None, "whisper-1")})
    require_error(answer, 400, "invalid_request", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_ten_thousand_fields_are_refused(client: httpx.Client, route: str) -> None:
    fields = {f"f{i}": str(i) for i in range(10_000)}
    require_error(send(client, route, wav(0.1), **fields), 400, "invalid_request")


BROKEN_FORMS = {
    "no boundary": ("multipart/form-data", b"--b\r\n"),
    "cut off": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nxx',
    ),
    "part without name": ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    "no form at all": ("multipart/form-data; boundary=b", b"hello"),
    "huge field": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + b"x" * 100_000,
    ),
    "field that is not text": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xfe\r\n--b--\r\n',
    ),
    "two files": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n' * 2
        + b"--b--\r\n",
    ),
    "boundary of 2 kB": ("multipart/form-data; boundary=" + "b" * 2000, b"--b\r\n"),
}


@pytest.mark.parametrize("what", BROKEN_FORMS)
def test_broken_forms_are_refused(client: httpx.Client, what: str) -> None:
    content_type, body = BROKEN_FORMS[what]
    answer = client.post("/v1/jobs", content=body, headers={"content-type": content_type})
    require_error(answer, 400, "invalid_request")


def test_fields_after_the_file_count(api: RunningApi) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"file", wav(0.1)) + part % (b"language", b"en") + b"--b--\r\n"
    with api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.json()["options"]["language"] == "en"
        http.delete(answer.headers["location"])


def open_upload(api: RunningApi, length: int = 1_000_000) -> socket.socket:
    """Begin an upload and send a part of it."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    connection.sendall(head.encode() + b"Content-Type: audio/wav\r\n\r\n" + wav(10.0)[:300_000])
    return connection


def read_error(connection: socket.socket) -> dict[str, str]:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_an_upload_that_stalls_times_out(client: httpx.Client, api: RunningApi) -> None:
    with open_upload(api) as connection:
        error = read_error(connection)
    assert error["code"] == "upload_timeout"
    assert "nothing for 1 s" in error["message"]


def test_an_upload_that_drips_times_out(client: httpx.Client, api: RunningApi) -> None:
    with open_upload(api) as connection:
        connection.settimeout(0.3)
        for _ in range(60):
            connection.sendall(b"x")
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        connection.settimeout(20)
        error = read_error(connection)
    assert error["code"] == "upload_timeout"
    assert "longer than 3 s" in error["message"]


def test_a_client_that_goes_away_leaves_nothing(client: httpx.Client, api: RunningApi) -> None:
    open_upload(api).close()
    wait_until(
        lambda: not [n for n in api.stored() if n.startswith(".")], timeout_s=5, what="cleanup"
    )


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs/", "/v2", "/page/../../auth.py"])
def test_unknown_addresses_answer_in_the_envelope(client: httpx.Client, path: str) -> None:
    require_error(client.get(path), 404, "not_found")


def test_a_wrong_method_answers_in_the_envelope(client: httpx.Client) -> None:
    answer = client.put("/v1/jobs")
    require_error(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"] or "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "status=asleep", "cursor=nonsense", "limit=1000"]
)
def test_bad_queries_are_400_in_the_envelope(client: httpx.Client, query: str) -> None:
    require_error(client.get(f"/v1/jobs?{query}"), 400, "invalid_request")


def test_the_error_is_read_though_the_body_was_not(client: httpx.Client, api: RunningApi) -> None:
    """The connection is not reset while the client still sends."""
    n_bytes = 16 * 2**20
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {n_bytes}\r\n"
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"Content-Type: text/x\r\n\r\n" + bytes(n_bytes))
        assert read_error(connection)["code"] == "upload_too_large"
