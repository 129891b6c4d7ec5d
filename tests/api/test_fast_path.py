"""The short way to the upload routes: the same answers as FastAPI's own, errors among them."""

import asyncio
from typing import Any

import httpx
import pytest

from services.api import app as app_module
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.waiting import wait_until

FILE = {"file": ("a.wav", wav(), "audio/wav")}
#: Requests that end before a job is made, whose answers must be the same on both ways.
REFUSED: dict[str, dict[str, Any]] = {
    "no body": {},
    "not a form": {"content": b"{}", "headers": {"Content-Type": "application/json"}},
    "no file": {"files": {"language": (None, "sv")}},
    "an unknown language": {"files": FILE, "data": {"language": "xx"}},
    "an unknown model": {"files": FILE, "data": {"model": "nobody/knows"}},
    "a page elsewhere": {"files": FILE, "headers": {"Origin": "https://elsewhere.example"}},
}


@pytest.mark.parametrize("path", app_module.UPLOADS)
@pytest.mark.parametrize("request_of", REFUSED)
def test_both_ways_refuse_alike(api: RunningApi, path: str, request_of: str) -> None:
    short, long = asyncio.run(both_ways(api, path, REFUSED[request_of]))
    assert short.status_code == long.status_code >= 400
    assert short.json() == long.json()
    own = {"x-request-id", "date"}
    assert {k: v for k, v in short.headers.items() if k not in own} == {
        k: v for k, v in long.headers.items() if k not in own
    }


def test_both_ways_accept_alike(api: RunningApi) -> None:
    short, long = asyncio.run(both_ways(api, "/v1/jobs", {"files": FILE}))
    assert short.status_code == long.status_code == 202
    assert short.json().keys() == long.json().keys()
    assert short.json()["audio"] == long.json()["audio"]
    assert api.app.state.service.queue.depth()["interactive"] == 2


def test_an_upload_takes_the_short_way_and_is_counted_under_its_route(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> float:
        labels = {"method": "POST", "route": "/v1/jobs", "status": "202"}
        registry = api.app.state.service.metrics.registry
        return registry.get_sample_value("stt_request_seconds_count", labels) or 0.0

    before = counted()
    monkeypatch.setattr(type(api.app.router), "__call__", None)  # the long way is closed
    assert client.post("/v1/jobs", files=FILE).status_code == 202
    wait_until(lambda: counted() == before + 1, what="the count")


def test_a_defect_is_told_on_the_short_way_too(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(api.app.state.service.models, "require", broken)
        answer = client.post("/v1/jobs", files=FILE)
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text and api.stored() == []
    assert client.post("/v1/jobs", files=FILE).status_code == 202


async def both_ways(
    api: RunningApi, path: str, request: dict[str, Any]
) -> tuple[httpx.Response, httpx.Response]:
    """Send one request twice: as it is, and below a prefix that only FastAPI's routing removes."""
    answers = []
    for prefix in ("", "/behind"):
        transport = httpx.ASGITransport(api.app, root_path=prefix)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answers.append(await client.post(prefix + path, **request))
    return answers[0], answers[1]
