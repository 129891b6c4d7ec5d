"""The Python client against the real service."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.client.client import Client, JobRequest
from services.contract.errors import (
    BatchNotFoundError,
    InvalidRequestError,
    JobNotCancelableError,
    JobNotFoundError,
    UnsupportedAudioError,
)
from services.contract.schema import JobStatus
from tests.tiny_model import SENTENCE

Speech = Callable[..., Path]


def test_a_recording_becomes_a_transcript_in_every_format(client: Client, speech: Speech) -> None:
    request = JobRequest(language="sv", words=True, prompt="Hej", keywords=("Åsa", "Sundsvall"))
    sent = client.submit(speech("hej och välkommen"), request)
    assert sent.status in (JobStatus.QUEUED, JobStatus.PROCESSING)
    done = client.wait(sent.id)
    assert done.status is JobStatus.SUCCEEDED, done.error
    assert done.model == "tiny@1"
    assert done.options["initial_prompt"] == "Hej"
    assert "Sundsvall" in done.options["hotwords"]
    assert client.transcript(done.id).strip() == SENTENCE
    assert client.transcript(done.id, "srt").startswith("1\n00:00:0")
    assert client.transcript(done.id, "vtt").startswith("WEBVTT")
    verbose = json.loads(client.transcript(done.id, "verbose_json"))
    assert [word["word"].strip() for word in verbose["words"]] == SENTENCE.split()


def test_events_tell_segments_and_the_end(client: Client, speech: Speech) -> None:
    job = client.submit(speech("god morgon").read_bytes(), filename="möte 1.wav")
    assert job.audio.filename == "möte 1.wav"
    events = list(client.events(job.id))
    assert events[-1].kind == "done"
    told = [segment.text.strip() for event in events for segment in event.segments]
    assert told == [SENTENCE]
    assert [e.job.status for e in events if e.job][-1] is JobStatus.SUCCEEDED


def test_a_job_can_be_run_again_canceled_and_deleted(client: Client, speech: Speech) -> None:
    first = client.wait(client.submit(speech("en"), JobRequest(language="sv")).id)
    second = client.wait(client.retry(first.id, JobRequest(words=True)).id)
    assert second.id != first.id
    assert second.options["word_timestamps"]
    with pytest.raises(JobNotCancelableError):
        client.cancel(second.id)
    client.delete(second.id)
    with pytest.raises(JobNotFoundError):
        client.job(second.id)


def test_an_idempotency_key_gives_the_same_job(client: Client, speech: Speech) -> None:
    jobs = {client.submit(speech("två"), idempotency_key="once").id for _ in range(2)}
    assert len(jobs) == 1


def test_jobs_are_listed_by_batch_over_all_pages(client: Client, speech: Speech) -> None:
    wav = speech("tre").read_bytes()
    request = JobRequest(batch="many files")
    sent = [client.submit(wav, request, filename=f"{i}.wav").id for i in range(3)]
    for job_id in sent:
        client.wait(job_id)
    assert [job.id for job in client.jobs(batch="many files")] == sent[::-1]
    assert client.batch("many files").counts[JobStatus.SUCCEEDED] == 3
    assert not list(client.jobs(batch="many files", status=JobStatus.FAILED))
    with pytest.raises(BatchNotFoundError):
        client.batch("no such batch")


def test_errors_are_those_of_the_contract(client: Client, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedAudioError):
        client.submit(b"this is no audio at all" * 100, filename="song.wav")
    with pytest.raises(InvalidRequestError, match="missing.wav"):
        client.submit(tmp_path / "missing.wav")


def test_the_served_model_says_what_it_can(client: Client) -> None:
    model = next(model for model in client.models() if model.bundle)
    assert (model.bundle, model.languages, model.demo) == ("tiny@1", ("sv",), False)
