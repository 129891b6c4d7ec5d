"""Many at once on one API process: watchers, waiting jobs, a whole batch."""

import asyncio
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_jobs import create

pytestmark = pytest.mark.slow


def test_two_hundred_watchers_see_the_end_and_others_are_served(
    api: RunningApi, client: httpx.Client, redis_url: str
) -> None:
    links = [create(client, prompt=str(i)).json()["links"]["events"] for i in range(10)]
    n_watching = 0

    async def watch(http: httpx.AsyncClient, link: str) -> list[str]:
        nonlocal n_watching
        names = []
        async with http.stream("GET", link) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    n_watching += not names
                    names.append(line.removeprefix("event: "))
        return names

    async def all_at_once() -> list[list[str]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=api.url, timeout=60, limits=limits) as http:
            watching = [asyncio.create_task(watch(http, links[i % 10])) for i in range(200)]
            while n_watching < 200:
                await asyncio.sleep(0.05)
            assert (await http.get("/v1/jobs")).status_code == 200
            with ScriptedWorker(redis_url):
                return await asyncio.gather(*watching)

    for names in asyncio.run(all_at_once()):
        assert names[-1] == "done" and names.count("segments") == 2


def test_five_hundred_jobs_are_listed_placed_canceled_and_zipped(
    api: RunningApi, client: httpx.Client, redis_url: str
) -> None:
    body = wav(0.1)

    def send(number: int) -> str:
        fields = {"batch": "big", "prompt": str(number)}
        files = {"file": (f"{number % 300}.wav", body)}
        return client.post("/v1/jobs", data=fields, files=files).json()["id"]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(send, range(500)))
        places = [client.get(f"/v1/jobs/{job_id}").json()["queue_position"] for job_id in ids]
        assert sorted(places) == list(range(1, 501))
        assert listed(client) == set(ids)
        some = ids[:400]
        canceled = pool.map(lambda job_id: client.post(f"/v1/jobs/{job_id}/cancel"), some)
        assert {answer.status_code for answer in canceled} == {200}
    with ScriptedWorker(redis_url) as worker:
        for job_id in ids[400:]:
            with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
                stream.read()
    assert sorted(worker.started) == sorted(ids[400:])
    counts = client.get("/v1/batches/big").json()["counts"]
    assert (counts["succeeded"], counts["canceled"], counts["queued"]) == (100, 400, 0)
    archive = client.get("/v1/batches/big/transcripts.zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert len(set(opened.namelist())) == 100 and opened.testzip() is None


def listed(client: httpx.Client) -> set[str]:
    """The ids of all jobs of the batch, page by page."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "100", "batch": "big", "cursor": cursor}
        page = client.get("/v1/jobs", params=query).json()
        found += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
    assert len(found) == len(set(found))
    return set(found)
