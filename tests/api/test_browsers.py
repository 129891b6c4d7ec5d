"""What monitors and web pages of other origins do: HEAD requests and CORS."""

import hashlib
from pathlib import Path

import httpx
import pytest

from services.contract.errors import SettingsError
from services.contract.settings import ApiSettings, load
from tests.api.recordings import wav
from tests.api.running_api import RunningApi

PAGE = "https://app.example.org"


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/whisper-1"]
)
def test_monitors_ask_with_head(client: httpx.Client, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-type"] == client.get(path).headers["content-type"]


def preflight(client: httpx.Client, origin: str = PAGE, *, method: str = "POST") -> httpx.Response:
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    return client.options("/v1/jobs", headers={"Origin": origin, **asked})


def test_pages_elsewhere_may_not_call_unless_they_are_named(client: httpx.Client) -> None:
    assert preflight(client).status_code == 405
    answer = client.get("/v1/models", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


def test_a_named_page_may_call_and_read(redis_url: str, tmp_path: Path) -> None:
    with (
        RunningApi(redis_url, tmp_path, cors_origins=f"http://localhost:3000, {PAGE}") as running,
        running.client() as client,
    ):
        answer = preflight(client)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "authorization" in answer.headers["access-control-allow-headers"]
        for method in ("GET", "HEAD", "DELETE"):
            assert preflight(client, method=method).status_code == 200
        assert preflight(client, "https://evil.example.org").status_code == 400
        files = {"file": ("a.wav", wav(0.1))}
        answer = client.post("/v1/jobs", files=files, headers={"Origin": PAGE})
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Location", "Content-Disposition", "Content-Range"} <= set(exposed)
        refused = client.post("/v1/jobs", content=b"x", headers={"Origin": PAGE})
        assert refused.headers["access-control-allow-origin"] == PAGE


FOREIGN = [
    {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": PAGE},
    {"Origin": "null"},
    {"Origin": "http://["},
]


def post(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return client.post("/v1/jobs", files={"file": ("a.wav", wav(0.1))}, headers=headers)


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_elsewhere_makes_no_job_where_nobody_needs_a_key(
    api: RunningApi, client: httpx.Client, headers: dict[str, str]
) -> None:
    """Browsers send such a form without asking; only the answer is kept from the page."""
    answer = post(client, headers)
    assert answer.status_code == 400
    assert "STT_CORS_ORIGINS" in answer.json()["error"]["message"]
    assert client.get("/v1/jobs").json()["data"] == [] == api.stored()


@pytest.mark.parametrize("headers", [FOREIGN[0], FOREIGN[4]])
def test_nor_does_it_where_a_proxy_checks_callers(
    redis_url: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    """The browser adds the password that the proxy asked for."""
    with RunningApi(redis_url, tmp_path, allow_no_keys=True) as api, api.client() as client:
        answer = post(client, {"Host": "stt.example.org", **headers})
        assert answer.status_code == 400
        assert "STT_CORS_ORIGINS" in answer.json()["error"]["message"]
    named = {"allow_no_keys": True, "cors_origins": PAGE}
    with RunningApi(redis_url, tmp_path, **named) as api, api.client() as client:
        assert post(client, {"Host": "stt.example.org", **headers}).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "stt.example.org", "Origin": "https://stt.example.org"},
        {"Host": "stt.lan:8080", "Origin": "http://stt.lan:8080"},
        {"Host": "stt.lan", "Origin": "http://stt.lan:8080"},
        # A proxy that names the API as the host.
        {"Origin": "https://stt.example.org", "Sec-Fetch-Site": "same-origin"},
        {"Host": "stt.example.org"},
    ],
)
def test_our_own_page_makes_jobs_through_a_proxy_that_checks_callers(
    redis_url: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    with RunningApi(redis_url, tmp_path, allow_no_keys=True) as api, api.client() as client:
        assert post(client, headers).status_code == 202


def test_a_key_says_who_calls_wherever_the_page_is_from(redis_url: str, tmp_path: Path) -> None:
    """A form cannot send one, and a script has to ask for leave."""
    keys = f"anna:{hashlib.sha256(b'sk-anna').hexdigest()}"
    with RunningApi(redis_url, tmp_path, api_keys=keys) as api, api.client("sk-anna") as client:
        assert {post(client, headers).status_code for headers in FOREIGN} == {202}


def test_our_own_page_and_programs_make_jobs(api: RunningApi, client: httpx.Client) -> None:
    for headers in (
        {"Origin": api.url, "Sec-Fetch-Site": "same-origin"},
        {"Origin": api.url},
        # A server for development that passes requests on, under an address of its own.
        {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        assert post(client, headers).status_code == 202, headers


def test_any_page_makes_jobs_if_any_is_named(redis_url: str, tmp_path: Path) -> None:
    with RunningApi(redis_url, tmp_path, cors_origins="*") as running, running.client() as client:
        assert {post(client, headers).status_code for headers in FOREIGN} == {202}


@pytest.mark.parametrize(
    "given", ["app.example.org", "https://a.org/", "https://a.org,*", "https://a b", "app:a"]
)
def test_origins_that_no_browser_sends_are_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="STT_CORS_ORIGINS"):
        load(ApiSettings, {"STT_CORS_ORIGINS": given})


APPS = "app://obsidian.md, tauri://localhost, capacitor://localhost, chrome-extension://abcdef"


@pytest.mark.parametrize("given", ["*", PAGE, f"{PAGE},http://localhost:3000", APPS])
def test_origins_are_taken(given: str) -> None:
    assert load(ApiSettings, {"STT_CORS_ORIGINS": given}).cors_origins == given
