"""The commands that talk to a running service."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.client import transcription_run, verbs
from services.client.client import Client, JobRequest
from services.contract.errors import BatchNotFoundError, SttError
from services.contract.schema import JobStatus
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE
from tests.waiting import wait_until

Speech = Callable[..., Path]


@pytest.fixture
def calls(tmp_path: Path, speech: Speech) -> Path:
    """A folder of three recordings, one of which is none."""
    folder = tmp_path / "calls"
    (folder / "monday").mkdir(parents=True)
    shutil.copy(speech("ett"), folder / "a.wav")
    shutil.copy(speech("två"), folder / "monday" / "b.wav")
    (folder / "broken.wav").write_text("this is no audio at all")
    return folder


def test_one_file_is_printed(run: Callable[..., Result], speech: Speech) -> None:
    result = run("transcribe", speech("hej då"), "--language", "sv")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == SENTENCE
    assert "1/1 done" in result.stderr


def test_a_folder_is_written_and_its_failures_are_listed(
    run: Callable[..., Result], calls: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run("transcribe", calls, "--format", "srt,text", "--out", out, "--batch", "calls")
    assert result.exit_code == 1
    assert "2 transcribed, 0 already done, 1 failed" in result.stderr
    assert "broken.wav: " in result.stderr
    written = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert written == ["a.srt", "a.txt", "monday/b.srt", "monday/b.txt"]
    assert (out / "monday" / "b.txt").read_text().strip() == SENTENCE


def test_a_second_run_does_only_what_is_left(
    run: Callable[..., Result], calls: Path, client: Client
) -> None:
    run("transcribe", calls, "--batch", "again")
    n_jobs = len(list(client.jobs(batch="again")))
    (calls / "broken.wav").unlink()
    result = run("transcribe", calls, "--batch", "again")
    assert result.exit_code == 0
    assert "0 transcribed, 2 already done" in result.stderr
    assert len(list(client.jobs(batch="again"))) == n_jobs


def test_a_job_that_was_left_running_is_found_again(
    run: Callable[..., Result], calls: Path, client: Client
) -> None:
    wav = str(calls / "a.wav")
    for _ in range(2):
        assert run("transcribe", wav, "--batch", "left").exit_code == 0
    assert len(list(client.jobs(batch="left"))) == 1
    run("transcribe", wav, "--batch", "left", "--force")
    assert len(list(client.jobs(batch="left"))) == 2


def test_a_folder_that_cannot_be_written_ends_a_run_before_anything_is_sent(
    run: Callable[..., Result], calls: Path, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = run("transcribe", calls, "--out", tmp_path / "file" / "out", "--batch", "nowhere")
    assert result.exit_code == 1
    assert "Cannot write to" in str(result.exception)
    assert list(client.jobs(batch="nowhere")) == []


def test_names_that_are_not_utf8_are_transcribed(
    run: Callable[..., Result], speech: Speech, tmp_path: Path, client: Client
) -> None:
    """Archives of older systems hold names in Latin-1."""
    folder = tmp_path / "archive"
    folder.mkdir()
    name = os.fsdecode("räksmörgås\n.wav".encode("latin-1"))
    shutil.copy(speech("ett"), folder / name)
    result = run("transcribe", folder, "--batch", "latin")
    assert result.exit_code == 0, result.output
    assert "1/1 done räksmörgås .wav" in result.stderr
    assert (folder / name).with_suffix(".txt").read_text().strip() == SENTENCE
    assert [job.audio.filename for job in client.jobs(batch="latin")] == ["räksmörgås .wav"]


def test_a_reader_that_goes_away_ends_the_run(stack: RunningStack, speech: Speech) -> None:
    """As in `whisper-sv transcribe a.wav | true`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "services.client", "transcribe", str(speech("hej då"))]
    try:
        result = subprocess.run(
            [*command, "--url", stack.url],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(writing)
    assert result.returncode == 1
    assert "Cannot print the transcript: Broken pipe" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_a_defect_ends_one_recording_and_not_the_run(
    calls: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(transcription_run, "idempotency_key", broken)
    result = run("transcribe", calls)
    assert result.exit_code == 1
    assert result.stderr.count("A defect of ours: ZeroDivisionError") >= 3


def test_an_absent_service_stops_the_run(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = ["transcribe", str(calls), "--url", "http://127.0.0.1:9", "--concurrency", "1"]
    result = CliRunner().invoke(verbs.app, words)
    assert result.exit_code == 1
    assert "Stopped with 3 left; the same command goes on" in result.stderr
    assert result.stderr.count("No answer from") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--language", "klingon"), "'klingon' is not a language"),
        (("--batch", "a/b"), "batch: use letters"),
        (("--prompt", "åäö " * 200), "tokens"),
    ],
)
def test_what_is_wrong_for_all_is_told_once(
    run: Callable[..., Result], calls: Path, words: tuple[str, str], told: str
) -> None:
    (calls / "broken.wav").unlink()
    result = run("transcribe", calls, "--force", *words)
    assert result.exit_code == 1
    assert result.stderr.count(told) == 1
    assert "failed" not in result.stderr
    assert "Stopped with 2 left" in result.stderr


def test_names_may_be_as_long_as_the_file_system_takes(
    run: Callable[..., Result], speech: Speech, tmp_path: Path
) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    shutil.copy(speech("ett"), folder / ("x" * 251 + ".wav"))
    result = run("transcribe", folder)
    assert result.exit_code == 0, result.output
    assert (folder / ("x" * 251 + ".txt")).read_text().strip() == SENTENCE


def test_jobs_are_shown_and_canceled(
    run: Callable[..., Result], client: Client, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "styrelsens möte i mars, del två av tre, inspelad på plats i Härnösand.wav"
    job = client.submit(speech("fyra"), JobRequest(batch="shown"), filename=name)
    job = client.wait(job.id)
    shown = run("jobs", "--batch", "shown").stdout
    assert job.id in shown
    assert "1 succeeded" in shown
    monkeypatch.setenv("COLUMNS", "80")
    (line,) = [row for row in run("jobs", "--batch", "shown").stdout.splitlines() if job.id in row]
    assert line.endswith(job.audio.filename), "one line each, for grep, however narrow"
    assert json.loads(run("jobs", "--batch", "shown", "--json").stdout)["id"] == job.id
    result = run("cancel", job.id)
    assert "0 canceled" in result.stdout
    assert job.id in result.stderr
    assert isinstance(run("cancel").exception, SttError)


def test_a_wrong_id_keeps_no_other_job_from_being_canceled(
    run: Callable[..., Result], stack: RunningStack, client: Client, speech: Speech
) -> None:
    worker = stack.children()["services.worker"]
    worker.suspend()
    try:
        job = client.submit(speech("fyra"))
        result = run("cancel", "nosuch", job.id)
    finally:
        worker.resume()
    assert result.exit_code == 1
    assert "nosuch: " in result.stderr
    assert "1 canceled" in result.stdout
    assert client.wait(job.id).status is JobStatus.CANCELED


def test_a_batch_that_is_not_there_cannot_be_canceled(run: Callable[..., Result]) -> None:
    assert isinstance(run("cancel", "--batch", "typo").exception, BatchNotFoundError)


def test_models_are_deployed_and_rolled_back(
    run: Callable[..., Result], tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    models = ("--models-dir", tmp_path / "models")
    assert "Nothing is deployed" in run("models", *models).stdout
    assert "tiny@1 is served" in run("deploy", tiny_bundle_dir, *models).stdout
    assert "tiny@1" in run("models", *models).stdout
    assert "STT_MODEL=demo is served again" in run("rollback", *models).stdout
    assert isinstance(run("rollback", *models).exception, SttError)


def test_models_are_listed_also_when_the_served_one_was_deleted(
    run: Callable[..., Result], tiny_bundle_dir: Path, tmp_path: Path
) -> None:
    models = ("--models-dir", tmp_path / "models")
    run("deploy", tiny_bundle_dir, *models)
    run("deploy", "demo", *models)
    shutil.rmtree(tmp_path / "models" / "demo")
    result = run("models", *models)
    assert "tiny@1" in result.stdout
    assert isinstance(result.exception, SttError)
    assert "is not there" in result.exception.message


def test_a_key_is_its_entry_hashed(run: Callable[..., Result]) -> None:
    import hashlib

    lines = run("key", "åsa").exception, run("key", "asa").stdout.splitlines()
    assert isinstance(lines[0], SttError)
    key, entry = (line.split()[-1] for line in lines[1])
    assert entry == f"asa:{hashlib.sha256(key.encode()).hexdigest()}"


@pytest.mark.slow
def test_a_run_that_is_broken_off_goes_on_where_it_stopped(
    run: Callable[..., Result], stack: RunningStack, calls: Path, client: Client
) -> None:
    (calls / "broken.wav").unlink()
    worker = stack.children()["services.worker"]
    words = ["transcribe", str(calls), "--batch", "night", "--url", stack.url]
    worker.suspend()
    process = subprocess.Popen([sys.executable, "-m", "services.client", *words])
    try:
        wait_until(lambda: len(list(client.jobs(batch="night"))) == 2, what="two jobs")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        worker.resume()
    assert not list(calls.rglob("*.txt"))
    assert run(*words).exit_code == 0
    assert len(list(calls.rglob("*.txt"))) == 2
    assert len(list(client.jobs(batch="night"))) == 2
