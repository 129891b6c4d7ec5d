"""One run over recordings against an API that says what a test wrote down."""

import errno
import io
import json
import os
import stat
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from rich.console import Console

from services.client.client import Client, JobRequest
from services.client.progress_view import PlainLines
from services.client.recordings import Recording, outputs, parse_formats
from services.client.transcription_run import Outcome, Run
from tests.client.scripted_api import Answer, reply, scripted, stream


def told(status: int, code: str) -> Answer:
    error = {"message": "told", "type": "t", "param": None, "code": code}
    return reply(status, json.dumps({"error": error}), retry_after="0")


def job(status: str, name: str = "job-1") -> str:
    return json.dumps({"id": name, "status": status, "created_at": "2026-01-01T00:00:00Z"})


FINISHED = [stream("event: done\ndata: {}\n\n"), reply(200, job("succeeded")), reply(200, "Hej.")]


def run(
    folder: Path, answers: list[Answer], *, forms: Sequence[str] = ("text",), force: bool = False
) -> tuple[Outcome, list[str]]:
    """Transcribe one recording; return the outcome and the requests that it took."""
    (folder / "a.wav").write_bytes(b"x")
    targets = outputs([Recording(folder / "a.wav", "a.wav")], parse_formats(",".join(forms)), None)
    with scripted(answers) as (url, requests), Client(url, patience_s=0) as client:
        view = PlainLines(console=Console(file=io.StringIO()))
        outcome = Run(client, JobRequest(), targets, view, concurrency=1, force=force).run()
        return outcome, [f"{r.command} {r.path}" for r in requests]


def test_a_run_waits_for_room_in_the_queue(tmp_path: Path) -> None:
    full = told(429, "queue_full")
    outcome, requests = run(tmp_path, [full, full, reply(202, job("queued")), *FINISHED])
    assert (outcome.n_done, outcome.failures, outcome.stopped_by) == (1, [], None)
    assert requests[:3] == ["POST /v1/jobs"] * 3
    assert (tmp_path / "a.txt").read_text() == "Hej."


FAILED = reply(202, job("failed", "first"))
CANCELED = reply(202, job("canceled", "second"))
RUNNING = reply(202, job("processing", "third"))
GONE = told(410, "audio_expired")


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([FAILED, RUNNING], ["", "/first/retry"]),
        ([FAILED, CANCELED, RUNNING], ["", "/first/retry", "/second/retry"]),
        ([FAILED, GONE, RUNNING], ["", "/first/retry", ""]),
    ],
    ids=["failed", "and the retry canceled", "and its recording gone"],
)
def test_a_job_that_did_not_succeed_is_done_again_once_however_often_a_run_is_started(
    tmp_path: Path, answers: list[Answer], sent: list[str]
) -> None:
    """A run that was broken off has left the second try running."""
    keys: list[str] = []

    def noting_key(answer: Answer) -> Answer:
        def send(request: BaseHTTPRequestHandler) -> None:
            keys.append(request.headers["Idempotency-Key"])
            answer(request)

        return send

    for _ in range(2):
        (tmp_path / "a.txt").unlink(missing_ok=True)
        outcome, requests = run(tmp_path, [*map(noting_key, answers), *FINISHED])
        assert outcome.n_done == 1, outcome.failures
        assert requests[: len(sent)] == [f"POST /v1/jobs{path}" for path in sent]
    assert keys[: len(sent)] == keys[len(sent) :], "the same key finds the same job"
    assert all(keys) and len(set(keys)) == len(sent)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_recording_that_changes_while_it_is_transcribed(tmp_path: Path, is_gone: bool) -> None:
    """Its transcript, newer than itself, would count as done; one that is gone has its text."""

    def change(request: BaseHTTPRequestHandler) -> None:
        os.utime(tmp_path / "a.wav", (1, 1))
        if is_gone:
            (tmp_path / "a.wav").unlink()
        reply(200, job("succeeded"))(request)

    events, _, text = FINISHED
    outcome, _ = run(tmp_path, [reply(202, job("queued")), events, change, text])
    assert (tmp_path / "a.txt").exists() is is_gone
    told = [failure.error.message for failure in outcome.failures]
    assert told == ([] if is_gone else ["It changed while it was transcribed; start the run again"])


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_who_may_read_a_transcript_is_for_the_umask_to_say(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        run(tmp_path, [reply(202, job("queued")), *FINISHED])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "a.wav"]


def test_a_text_that_is_older_than_its_recording_is_not_written_over(tmp_path: Path) -> None:
    """Nobody can tell a transcript of a recording that has changed from somebody's own notes."""
    (tmp_path / "a.txt").write_text("My notes.")
    os.utime(tmp_path / "a.txt", (1, 1))
    outcome, requests = run(tmp_path, [reply(202, job("queued")), *FINISHED])
    assert requests == [], "nothing is sent in vain"
    (failure,) = outcome.failures
    assert failure.error.message.startswith(f"{tmp_path / 'a.txt'} is there and older")
    assert (tmp_path / "a.txt").read_text() == "My notes."
    outcome, _ = run(tmp_path, [reply(202, job("queued")), *FINISHED], force=True)
    assert (outcome.n_done, (tmp_path / "a.txt").read_text()) == (1, "Hej.")


def test_a_transcript_that_is_there_is_kept_when_another_format_is_asked_for(
    tmp_path: Path,
) -> None:
    """Somebody may have corrected it."""
    (tmp_path / "a.srt").write_text("Corrected.")
    os.utime(tmp_path / "a.srt", (2**32, 2**32))
    outcome, _ = run(tmp_path, [reply(202, job("queued")), *FINISHED], forms=("srt", "text"))
    assert (outcome.n_done, (tmp_path / "a.txt").read_text()) == (1, "Hej.")
    assert (tmp_path / "a.srt").read_text() == "Corrected."


def test_a_full_disk_stops_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other transcript would be made, and fail, in the same way."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    outcome, _ = run(tmp_path, [reply(202, job("queued")), *FINISHED])
    assert outcome.stopped_by is not None
    assert "No space left on device" in outcome.stopped_by.message
    assert (outcome.failures, outcome.n_left) == ([], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"], "no half transcript"
