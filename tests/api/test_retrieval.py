"""What comes back over HTTP: ranges, formats, HEAD, pages; liberal in what is asked for."""

import io
import unicodedata
import zipfile
from urllib.parse import quote

import httpx
import pytest

from services.contract.errors import AudioStoreError
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_jobs import create, ended, events_of


def test_ranges_of_the_recording_are_served(client: httpx.Client) -> None:
    body = wav()
    here = create(client, body).json()["links"]["audio"]
    whole = client.get(here)
    assert whole.content == body
    assert whole.headers["content-type"] == "audio/wav"
    assert "sandbox" in whole.headers["content-security-policy"]
    part = client.get(here, headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == body[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(body)}"
    assert client.get(here, headers={"range": "bytes=-10"}).content == body[-10:]
    assert client.get(here, headers={"range": f"bytes={len(body)}-"}).status_code == 416
    assert client.get(here, headers={"range": "lines=1-2"}).status_code == 200
    for whole in ("bytes=0-", f"bytes=0-{10**9}", f"bytes=-{10**9}"):
        answer = client.get(here, headers={"range": whole})
        assert answer.status_code == 206, "a player takes 200 for: cannot seek"
        assert answer.headers["content-range"] == f"bytes 0-{len(body) - 1}/{len(body)}"
        assert answer.content == body
    assert client.get(here, headers={"range": "bytes=-"}).status_code == 200


@pytest.mark.parametrize("asked", [{}, {"range": "bytes=100-199"}])
def test_a_store_that_fails_before_the_first_byte_is_an_error(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    def broken(*_: object) -> None:
        raise AudioStoreError("away")

    here = create(client).json()["links"]["audio"]
    monkeypatch.setattr(api.app.state.service.store, "open", broken)
    answer = client.get(here, headers=asked)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "audio_store_unavailable"


def test_a_hostile_content_type_is_not_served(client: httpx.Client) -> None:
    files = {"file": ("a.html", wav(), "text/html; charset=utf-8")}
    job = client.post("/v1/jobs", files=files).json()
    answer = client.get(job["links"]["audio"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "status"),
    [("BYTES=0-1", 206), ("bytes=5-2", 200), ("bytes=0-1,4-5", 200), ("bytes=-0", 416)],
)
def test_ranges_are_read_as_http_says(client: httpx.Client, asked: str, status: int) -> None:
    here = create(client).json()["links"]["audio"]
    assert client.get(here, headers={"range": asked}).status_code == status


def test_head_tells_of_a_recording_and_a_transcript(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    body = wav()
    job = create(client, body).json()
    ended(client, job["id"])
    for link, headers in (("audio", {}), ("audio", {"range": "bytes=0-9"}), ("transcript", {})):
        told = client.head(job["links"][link], headers=headers)
        whole = client.get(job["links"][link], headers=headers)
        assert told.content == b"" and told.status_code == whole.status_code
        for name in ("content-length", "content-type", "content-range"):
            assert told.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize("given", ["SRT", " srt ", "Srt"])
def test_formats_are_read_in_any_case(
    client: httpx.Client, worker: ScriptedWorker, given: str
) -> None:
    job = create(client, batch="b").json()
    ended(client, job["id"])
    for path in (job["links"]["transcript"], "/v1/batches/b/transcripts.zip"):
        assert client.get(path, params={"format": given}).is_success
    refused = client.get(job["links"]["transcript"], params={"format": "doc"})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "format"


def test_an_empty_query_value_is_not_given(client: httpx.Client, worker: ScriptedWorker) -> None:
    job = create(client).json()
    ended(client, job["id"])
    empty = {"status": "", "batch": "", "limit": "", "cursor": ""}
    assert len(client.get("/v1/jobs", params=empty).json()["data"]) == 1
    answer = client.get(job["links"]["transcript"], params={"format": "", "download": ""})
    assert answer.headers["content-type"] == "application/json"
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize(
    ("name", "shown"), [("Åsa 1", "Åsa 1.zip"), ("a:b", "a-b.zip"), (".dold", "dold.zip")]
)
def test_an_archive_is_named_like_its_batch(client: httpx.Client, name: str, shown: str) -> None:
    create(client, batch=name)
    answer = client.get(f"/v1/batches/{name}/transcripts.zip")
    assert answer.headers["content-disposition"].endswith(f"''{quote(shown)}")


def test_no_transcript_of_an_archive_is_unpacked_over_another_one(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    apart = unicodedata.normalize("NFD", "Möte.wav")
    named = ["möte.wav", "Möte.mp3", apart, "2026.01.15", "2026.01.16", 'kl 10:30 "sen"?.m4a']
    for filename in named:
        job = create(client, batch="b", filename=filename).json()
        ended(client, job["id"])
    archive = client.get("/v1/batches/b/transcripts.zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        names = opened.namelist()
    assert len({unicodedata.normalize("NFC", name.lower()) for name in names}) == len(named)
    assert {"2026.01.15.txt", "2026.01.16.txt", "kl 10-30 -sen--.txt"} <= set(names)


def test_a_download_keeps_the_date_in_its_name(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    job = create(client, filename="Mottagning 2026.01.15").json()
    ended(client, job["id"])
    told = client.head(job["links"]["transcript"], params={"format": "srt", "download": "true"})
    assert told.headers["content-disposition"].endswith("2026.01.15.srt")


def test_no_browser_keeps_names_and_texts_or_runs_them(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    made = create(client, batch="b")
    ended(client, made.json()["id"])
    paths = ["/v1/jobs", "/v1/batches/b", "/v1/batches/b/transcripts.zip", "/v1/jobs/none"]
    answers = [made, *(client.get(path) for path in [*paths, *made.json()["links"].values()])]
    for answer in answers:
        assert "no-store" in answer.headers["cache-control"], answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
    assert client.get("/").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("cursor", ["x", "0:0", "9" * 400, "%00", "-1"])
def test_a_cursor_of_nobody_is_refused(client: httpx.Client, cursor: str) -> None:
    error = client.get("/v1/jobs", params={"cursor": cursor}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "cursor")


@pytest.mark.parametrize("given", ["garbage", "-1", "999999999", "9" * 50, "1e3", "\u0663"])
def test_an_event_id_of_nobody_begins_at_the_start(
    client: httpx.Client, worker: ScriptedWorker, given: str
) -> None:
    job = create(client).json()
    ended(client, job["id"])
    headers = {"Last-Event-ID": given.encode()}
    with client.stream("GET", job["links"]["events"], headers=headers) as stream:
        events = list(events_of(stream.iter_lines()))
    assert [data["window"] for _, name, data in events if name == "segments"] == [0, 1]


def test_a_batch_is_found_however_its_accents_were_typed(client: httpx.Client) -> None:
    apart = unicodedata.normalize("NFD", "möte")
    assert create(client, batch=f" {apart} ").json()["batch"] == "möte"
    for name in ("möte", apart):
        assert client.get(f"/v1/batches/{name}").json()["n_jobs"] == 1
        assert len(client.get("/v1/jobs", params={"batch": name}).json()["data"]) == 1
