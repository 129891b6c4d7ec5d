"""Every bad form, field, query and address: a typed error in the envelope, nothing left on disk."""

import httpx
import pytest

from tests.api.recordings import wav
from tests.api.refusals import ROUTES, require_error, send
from tests.api.running_api import RunningApi

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
    "languages": ('["\\ud800"]', 400, "invalid_options"),
    "include": ("[" * 20_000, 400, "invalid_options"),
    "vad": ('{"a":' * 5_000, 400, "invalid_options"),
    "mode": ("quantum", 400, "invalid_options"),
    "log_prob_threshold": ("-inf", 400, "invalid_options"),
    "prompt": ("x" * 5000, 400, "prompt_too_long"),
    "keywords": ("x" * 5000, 400, "prompt_too_long"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("field", FIELDS)
def test_unknown_values_name_their_field(
    strict_client: httpx.Client, route: str, field: str
) -> None:
    value, status, code = FIELDS[field]
    answer = send(strict_client, route, wav(0.1), **{field: value})
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
def test_unknown_values_of_openai_fields(
    strict_client: httpx.Client, field: str, value: str
) -> None:
    answer = send(strict_client, ROUTES[0], wav(0.1), **{field: value})
    require_error(answer, 400, "invalid_options", field.split("[")[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", "urgent"), ("batch", "a/b\n"), ("task", "summarise"), ("vad", "[1]")],
)
def test_unknown_values_of_job_fields(strict_client: httpx.Client, field: str, value: str) -> None:
    answer = send(strict_client, ROUTES[1], wav(0.1), **{field: value})
    require_error(answer, 400, "invalid_options", field)


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_values_mean_not_given(strict_api: RunningApi, empty: str) -> None:
    with strict_api.client() as http:
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
    "a\u2028b\u2029.wav": "ab.wav",
    "..": "",
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_file_names_are_cleaned(strict_api: RunningApi, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode()
    body = head + b'"\r\n\r\n' + wav(0.1) + b"\r\n--b--\r\n"
    with strict_api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.status_code in (202, 400), answer.text
        if answer.status_code == 202:
            assert answer.json()["audio"]["filename"] == NAMES[name]
            http.delete(answer.headers["location"])
    assert all(len(stored) == 32 for stored in strict_api.stored())


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_names_in_a_field_are_cleaned_too(strict_api: RunningApi, name: str) -> None:
    """They name the entries of archives, so a path in one would leave the folder it goes to."""
    with strict_api.client() as http:
        for params, fields in (({"filename": name[-1000:]}, {}), ({}, {"filename": name[-1000:]})):
            files = {"file": ("", wav(0.1))}
            answer = http.post("/v1/jobs", params=params, data=fields, files=files)
            assert answer.status_code == 202, answer.text
            assert answer.json()["audio"]["filename"] == NAMES[name]
            http.delete(answer.headers["location"])


@pytest.mark.parametrize("plain", [b"", b'filename="=?utf-8?B?bcO2dGUvYS53YXY=?="; '])
def test_encoded_names_are_read(strict_api: RunningApi, plain: bytes) -> None:
    """Older clients write names so that are not ASCII, and .NET in two ways."""
    head = b"--b\r\nContent-Disposition: form-data; name=file; " + plain
    head += b"filename*=utf-8''m%C3%B6te%2Fa%C3%A5.wav"
    body = head + b"\r\n\r\n" + wav(0.1) + b"\r\n--b--\r\n"
    with strict_api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.json()["audio"]["filename"] == "aå.wav"
        http.delete(answer.headers["location"])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("m%C3%B6te%20i%20%C3%A5r.wav", "möte i år.wav"),  # aiohttp
        ("r%22a.wav", 'r"a.wav'),  # browsers
        ("..%2Fa%0A.wav", "a.wav"),
        ("100% och 50%.wav", "100% och 50%.wav"),
        ("a%E5.wav", "a%E5.wav"),  # Latin-1, or nothing encoded
    ],
)
def test_percent_encoded_names_are_read(strict_client: httpx.Client, sent: str, shown: str) -> None:
    """RFC 7578 lets forms write names so that are not ASCII."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n\r\n'
    body = head.encode() + wav(0.1) + b"\r\n--b--\r\n"
    content_type = {"content-type": "multipart/form-data; boundary=b"}
    answer = strict_client.post("/v1/jobs", content=body, headers=content_type)
    assert answer.json()["audio"]["filename"] == shown
    strict_client.delete(answer.headers["location"])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_wrong_content_types_are_refused(
    strict_client: httpx.Client, route: str, content_type: str
) -> None:
    answer = strict_client.post(route, content=b"{}", headers={"content-type": content_type})
    require_error(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("route", ROUTES)
def test_compressed_bodies_are_refused(strict_client: httpx.Client, route: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip"}
    answer = strict_client.post(route, content=b"\x1f\x8b", headers=headers)
    require_error(answer, 415, "unsupported_media_type")
    assert "Content-Encoding" in answer.json()["error"]["message"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_form_without_a_file_is_refused(strict_client: httpx.Client, route: str) -> None:
    answer = strict_client.post(route, files={"model": (None, "whisper-1")})
    require_error(answer, 400, "invalid_request", "file")


@pytest.mark.parametrize("route", ROUTES)
def test_ten_thousand_fields_are_refused(strict_client: httpx.Client, route: str) -> None:
    fields = {f"f{i}": str(i) for i in range(10_000)}
    require_error(send(strict_client, route, wav(0.1), **fields), 400, "invalid_request")


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
def test_broken_forms_are_refused(strict_client: httpx.Client, what: str) -> None:
    content_type, body = BROKEN_FORMS[what]
    answer = strict_client.post("/v1/jobs", content=body, headers={"content-type": content_type})
    require_error(answer, 400, "invalid_request")


def test_a_content_type_written_by_hand_is_explained(strict_client: httpx.Client) -> None:
    """What a page gets that sets the header of its FormData itself."""
    headers = {"content-type": "multipart/form-data"}
    answer = strict_client.post("/v1/jobs", files={"file": ("a.wav", wav(0.1))}, headers=headers)
    require_error(answer, 400, "invalid_request")
    assert "let the HTTP library write that header" in answer.json()["error"]["message"]


def test_fields_after_the_file_count(strict_api: RunningApi) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"file", wav(0.1)) + part % (b"language", b"en") + b"--b--\r\n"
    with strict_api.client() as http:
        content_type = {"content-type": "multipart/form-data; boundary=b"}
        answer = http.post("/v1/jobs", content=body, headers=content_type)
        assert answer.json()["options"]["language"] == "en"
        http.delete(answer.headers["location"])


def test_fields_in_the_query_of_a_form_count_too(strict_api: RunningApi) -> None:
    query = {"language": "en", "prompt": "Hej", "colour": "red"}
    with strict_api.client() as http:
        files = {"file": ("a.wav", wav(0.1))}
        answer = http.post("/v1/jobs", params=query, data={"prompt": "Då"}, files=files)
        options = answer.json()["options"]
        assert (options["language"], options["initial_prompt"]) == ("en", "Då"), "the form wins"
        assert answer.headers["x-ignored-fields"] == "colour"
        http.delete(answer.headers["location"])


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs/", "/v2", "/page/../../auth.py"])
def test_unknown_addresses_answer_in_the_envelope(strict_client: httpx.Client, path: str) -> None:
    require_error(strict_client.get(path), 404, "not_found")


def test_an_unknown_address_is_told(strict_client: httpx.Client) -> None:
    """What an old `openai` command makes of a base URL without a slash at its end."""
    message = strict_client.post("/v1audio/transcriptions").json()["error"]["message"]
    assert message == "There is nothing at /v1audio/transcriptions; see /openapi.json."
    assert len(strict_client.get("/" + 1000 * "å").json()["error"]["message"]) < 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs", {"GET", "POST"}),
        ("/v1/jobs/x", {"GET", "HEAD", "DELETE"}),
        ("/", {"GET", "HEAD"}),
        ("/page/main.js", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_all_right_ones(
    strict_client: httpx.Client, path: str, allowed: set[str]
) -> None:
    answer = strict_client.options(path)
    require_error(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_wrong_method_answers_in_the_envelope(strict_client: httpx.Client) -> None:
    answer = strict_client.put("/v1/jobs")
    require_error(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "status=asleep", "cursor=nonsense", "limit=1000"]
)
def test_bad_queries_are_400_in_the_envelope(strict_client: httpx.Client, query: str) -> None:
    require_error(strict_client.get(f"/v1/jobs?{query}"), 400, "invalid_request")
