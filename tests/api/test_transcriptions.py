"""OpenAI's routes over real HTTP, with a worker that follows a script."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from services.api.text_stream import GrowingText
from services.contract.schema import ErrorInfo, Segment
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import BUNDLE, ScriptedWorker
from tests.waiting import wait_until

ROUTE = "/v1/audio/transcriptions"
TEXT = "Hej och välkommen. Det här är två fönster."


def send(client: httpx.Client, route: str = ROUTE, **fields: object) -> httpx.Response:
    files = {"file": ("clip.wav", wav(), "audio/wav")}
    return client.post(route, data={"model": "whisper-1", **fields}, files=files)


def test_json_is_the_default(client: httpx.Client, worker: ScriptedWorker) -> None:
    answer = send(client)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "text": TEXT,
        "languages": [{"code": "sv"}],
        "usage": {"type": "duration", "seconds": 1.0},
    }


@pytest.mark.parametrize(
    ("name", "media_type", "start"),
    [
        ("text", "text/plain; charset=utf-8", "Hej och"),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> 00:00:00,500\nHej"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHej"),
        ("tsv", "text/tab-separated-values; charset=utf-8", "start\tend\ttext\n0\t500\tHej"),
    ],
)
def test_text_formats(
    client: httpx.Client, worker: ScriptedWorker, name: str, media_type: str, start: str
) -> None:
    answer = send(client, response_format=name)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8", "SDKs parse the rest"
    assert answer.text.startswith(start)
    job = client.get(f"/v1/jobs/{answer.headers['x-job-id']}/transcript", params={"format": name})
    assert job.headers["content-type"] == media_type
    assert job.text == answer.text


@pytest.mark.parametrize("field", ["timestamp_granularities[]", "timestamp_granularities"])
def test_words_come_when_asked_for(
    client: httpx.Client, worker: ScriptedWorker, field: str
) -> None:
    answer = send(client, response_format="verbose_json", **{field: ["word", "segment"]}).json()
    assert answer["language"] == "swedish"
    assert answer["language_code"] == "sv"
    assert answer["model"] == BUNDLE
    assert [w["word"] for w in answer["words"]][:2] == ["Hej", "och"]
    assert {"id", "seek", "tokens", "avg_logprob"} <= set(answer["segments"][0])


def test_verbose_json_has_segments_without_words_by_default(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    answer = send(client, response_format="verbose_json").json()
    assert len(answer["segments"]) == 2
    assert "words" not in answer


def test_translation_is_english(client: httpx.Client, worker: ScriptedWorker) -> None:
    answer = send(client, "/v1/audio/translations", response_format="verbose_json").json()
    assert answer["task"] == "translate"
    assert answer["language"] == "english"


def events_of(answer: httpx.Response) -> list[dict[str, object]]:
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_streamed_deltas_are_the_text_of_the_last_event(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    answer = send(client, stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer)
    assert [e["type"] for e in events[-1:]] == ["transcript.text.done"]
    assert events[-1]["text"] == TEXT
    assert "".join(str(e["delta"]) for e in events[:-1]) == TEXT


def test_the_last_event_says_what_was_used(client: httpx.Client, worker: ScriptedWorker) -> None:
    """async-openai (Rust) cannot read the event without it, and takes tokens only."""
    usage = events_of(send(client, stream="true"))[-1]["usage"]
    counts = {"input_tokens": 50, "output_tokens": 4, "total_tokens": 54}
    assert usage == {"type": "tokens", **counts}


def test_a_stream_tells_nothing_twice_when_the_job_begins_again() -> None:
    def said(text: str) -> list[Segment]:
        return [Segment(start=0, end=1, text=text)]

    text = GrowingText()
    assert text.add(said(" Hej och")) == "Hej och"
    text.begin_again()
    assert text.add(said(" Hej")) == ""
    assert text.add(said(" och välkommen.")) == " välkommen."
    assert text.complete("Hej och välkommen.") == ""
    text.begin_again()
    assert text.add(said(" Nej.")) == "", "what was told cannot be taken back"


def test_a_failed_job_ends_the_stream_with_an_error(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    worker.fail_with = ErrorInfo(code="transcription_timeout", message="It took too long.")
    error = events_of(send(client, stream="true"))[-1]["error"]
    assert error == {
        "message": "It took too long.",
        "type": "server_error",
        "param": None,
        "code": "transcription_timeout",
    }


def test_a_failed_job_is_an_error_that_clients_do_not_retry(
    client: httpx.Client, worker: ScriptedWorker
) -> None:
    worker.fail_with = ErrorInfo(code="transcription_timeout", message="It took too long.")
    answer = send(client)
    assert answer.status_code == 500
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "transcription_timeout"


def test_silence_is_an_empty_text(client: httpx.Client, worker: ScriptedWorker) -> None:
    worker.spoken = ()
    answer = send(client)
    assert answer.status_code == 200
    assert answer.json()["text"] == ""


def test_the_same_request_again_meets_its_job(
    client: httpx.Client, worker: ScriptedWorker, api: RunningApi
) -> None:
    # A finished job answers again only for the model that is served, so the API must know of it.
    wait_until(lambda: client.get(f"/v1/models/{BUNDLE}").is_success, what="the worker")
    first, second = send(client), send(client)
    assert first.headers["x-job-id"] == second.headers["x-job-id"]
    other = send(client, language="en")
    assert other.headers["x-job-id"] != first.headers["x-job-id"]
    assert len(api.stored()) == 2


def test_the_same_request_before_the_first_has_become_a_job_meets_it(
    client: httpx.Client, worker: ScriptedWorker, api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a client that ran out of patience while its upload was being looked at."""
    jobs, all_looked = api.app.state.service.jobs, threading.Barrier(3)
    taken: list[str | None] = []
    create_or_join = jobs.create_or_join

    def find_none(*_: object) -> None:
        all_looked.wait(60)

    def note(*arguments: Any) -> str | None:
        earlier = create_or_join(*arguments)
        taken.append(earlier)
        return earlier

    monkeypatch.setattr(jobs, "find_attachable", find_none)
    monkeypatch.setattr(jobs, "create_or_join", note)
    worker.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(send, client) for _ in range(3)]
        wait_until(lambda: len(taken) == 3, what="all three")
        worker.gate.set()
        answers = [call.result() for call in calls]
    assert [answer.json()["text"] for answer in answers] == [TEXT] * 3
    assert {answer.headers["x-job-id"] for answer in answers} == set(worker.started)
    assert len(worker.started) == len(api.stored()) == 1


def test_fields_that_are_not_read_are_named(client: httpx.Client, worker: ScriptedWorker) -> None:
    answer = send(client, languge="sv", known_speaker_names=["A", "B"])
    assert answer.headers["x-ignored-fields"] == "languge, known_speaker_names"


def test_a_request_id_is_kept_or_made(client: httpx.Client) -> None:
    assert client.get("/healthz").headers["x-request-id"]
    kept = client.get("/healthz", headers={"x-request-id": "my-1"})
    assert kept.headers["x-request-id"] == "my-1"
