"""The OpenAPI document: complete, and true enough that a fuzzer finds no 5xx behind it."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fastapi.openapi.models import OpenAPI

from services.api.answer_shapes import PlainTranscript, VerboseTranscript
from services.api.job_view import View
from services.api.openapi import attachment
from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_jobs import create, ended, events_of

WITHOUT_KEY = {"/healthz", "/readyz", "/metrics"}


def test_every_route_is_described(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, details in methods.items():
            where = f"{method} {path}"
            assert details.get("description") or details.get("summary"), where
            codes = {code for code in details["responses"] if code.startswith("2")}
            assert codes, where
            if path not in WITHOUT_KEY:
                error = details["responses"]["401"]["content"]["application/json"]
                assert error["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}, where


def test_the_forms_are_described(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]
    fields = body["content"]["multipart/form-data"]["schema"]["properties"]
    assert {"file", "model", "language", "stream", "response_format"} <= set(fields)
    assert fields["language"]["description"]
    assert "$ref" not in str(body)
    assert "null" not in str(fields), "a form has no null, a client would send a text"
    told = document["paths"]["/v1/audio/transcriptions"]["post"]["responses"]["200"]["content"]
    assert set(told) == {"application/json", "text/plain", "text/event-stream"}
    retry = document["paths"]["/v1/jobs/{job_id}/retry"]["post"]["requestBody"]["content"]
    for name, schema in retry["application/json"]["schema"]["properties"].items():
        assert "default" not in schema, f"a client would send {name}, and the job be another"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/v1/jobs/{job_id}/audio", "*/*"),
        ("/v1/jobs/{job_id}/events", "text/event-stream"),
        ("/v1/batches/{name}/transcripts.zip", "application/zip"),
        ("/metrics", "text/plain"),
    ],
)
def test_what_is_not_json_is_not_said_to_be(
    client: httpx.Client, path: str, media_type: str
) -> None:
    route = client.get("/openapi.json").json()["paths"][path]["get"]
    assert set(route["responses"]["200"]["content"]) == {media_type}


@pytest.mark.parametrize(
    ("name", "shape"), [("json", PlainTranscript), ("verbose_json", VerboseTranscript)]
)
def test_transcripts_have_the_shape_that_is_described(
    client: httpx.Client, worker: ScriptedWorker, name: str, shape: type[View]
) -> None:
    route = client.get("/openapi.json").json()["paths"]["/v1/audio/transcriptions"]["post"]
    told = route["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert {"$ref": f"#/components/schemas/{shape.__name__}"} in told
    fields = {"response_format": name, "timestamp_granularities[]": ["segment", "word"]}
    files = {"file": ("a.wav", wav())}
    answer = client.post("/v1/audio/transcriptions", data=fields, files=files).json()
    assert shape.model_validate(answer).model_dump(mode="json") == answer


def test_the_document_is_valid_and_says_where_a_key_goes(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    OpenAPI.model_validate(document)
    (name,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][name]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, details in methods.items():
            wanted = None if path in WITHOUT_KEY else [{name: []}]
            assert details.get("security") == wanted, f"{method} {path}"


def test_the_examples_look_like_the_answers(client: httpx.Client, worker: ScriptedWorker) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    job = create(client).json()
    ended(client, job["id"])
    told = paths["/v1/jobs/{job_id}/transcript"]["get"]["responses"]["200"]["content"]
    assert set(told["application/json"]["example"]) == set(
        client.get(job["links"]["transcript"]).json()
    )
    stream = paths["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]
    example = stream["text/event-stream"]["example"]
    with client.stream("GET", job["links"]["events"]) as answer:
        real = {name: data for _, name, data in events_of(answer.iter_lines())}
    ((_, name, data),) = events_of(iter(example.splitlines()))
    assert set(data) == set(real[name])


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("talk.txt", "talk.txt"),
        ("möte\n.srt", "m_te_.srt"),
        ('say "hi".txt', "say _hi_.txt"),
        (r"a\b 5%20.txt", "a_b 5_20.txt"),
    ],
)
def test_a_download_has_a_name_for_programs_that_know_only_ascii(name: str, plain: str) -> None:
    """`curl -OJ` would save every transcript as `transcript`."""
    (told,) = attachment(name).values()
    assert told == f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(name)}"


@pytest.mark.slow
def test_a_fuzzer_finds_no_server_error(
    redis_url: str, tmp_path: Path, worker: ScriptedWorker
) -> None:
    with RunningApi(redis_url, tmp_path, wait_timeout_s=25) as api:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json"]
        command += ["--checks", "not_a_server_error", "--max-examples", "25", "--seed", "7"]
        command += ["--phases", "examples,coverage,fuzzing", "--request-timeout", "30"]
        run = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False
        )
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
