"""What docs/operations.md promises about state, on a data folder of `whisper-sv up`.

The same promises in containers: test_backup.py.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.client.client import Client
from services.client.key_command import make_key
from services.contract.errors import InvalidApiKeyError, JobNotFoundError
from tests import documents
from tests.documents import ROOT
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.slow

Speech = Callable[..., Path]
OPERATIONS = ROOT / "docs" / "operations.md"
#: Written by 0.1.0 with times to live of decades: a job that has ended and one that waits.
OLD_DATA = Path(__file__).parent / "data-0.1.0.tar.gz"
OLD_TTL = {"STT_TRANSCRIPT_TTL_S": "3000000000", "STT_AUDIO_TTL_S": "3000000000"}
#: The recording of both.
OLD_AUDIO = "audio/6e332ebbff6c40efb0d62e59671aa308"


@contextmanager
def up(data_dir: Path, model: Path, **environ: str) -> Iterator[RunningStack]:
    """Run the service on a data folder until the block ends."""
    running = RunningStack(data_dir, model, **environ)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def audio_of(stack: RunningStack, job_id: str, key: str = "any") -> bytes:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.get(f"{stack.url}/v1/jobs/{job_id}/audio", headers=headers)
    answer.raise_for_status()
    return answer.content


def documented(first_words: str) -> str:
    """Return the one command of the handbook that begins so."""
    lines = [line for block in documents.blocks(OPERATIONS) for line in block.lines]
    (line,) = [line for line in lines if line.startswith(first_words)]
    return line


def test_backup_brings_back_text_and_recordings_and_jobs_that_waited(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Speech
) -> None:
    recording = speech("Hej och välkommen")
    with up(tmp_path / "data", tiny_bundle_dir) as stack, Client(stack.url) as client:
        done = client.wait(client.submit(recording).id)
        # The next worker needs seconds to start; the job waits for it.
        os.kill(stack.children()["services.worker"].pid, signal.SIGKILL)
        waiting = client.submit(speech("Vi ses igen"))
        assert client.job(waiting.id).status == "queued"
    run_in(tmp_path, documented("tar czf"))
    shutil.rmtree(tmp_path / "data")
    run_in(tmp_path, documented("tar xzf"))
    with up(tmp_path / "data", tiny_bundle_dir) as stack, Client(stack.url) as client:
        assert client.transcript(done.id).strip() == SENTENCE
        assert audio_of(stack, done.id) == recording.read_bytes()
        assert client.wait(waiting.id).status == "succeeded"


def run_in(folder: Path, line: str) -> None:
    subprocess.run(["bash", "-euc", line], cwd=folder, check=True)


def test_a_folder_of_an_older_version_is_served(tmp_path: Path, tiny_bundle_dir: Path) -> None:
    subprocess.run(["tar", "xzf", OLD_DATA, "-C", tmp_path], check=True)
    recording = (tmp_path / OLD_AUDIO).read_bytes()
    with up(tmp_path, tiny_bundle_dir, **OLD_TTL) as stack, Client(stack.url) as client:
        jobs = list(client.jobs(batch="kept"))
        assert len(jobs) == 2
        for job in jobs:
            assert client.wait(job.id).status == "succeeded"
            assert client.transcript(job.id).strip() == SENTENCE
            assert audio_of(stack, job.id) == recording


def test_a_rotated_key_sees_the_jobs_of_its_name_and_the_old_one_is_refused(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Speech
) -> None:
    old, old_entry = make_key("anna")
    new, new_entry = make_key("anna")
    other, other_entry = make_key("bo")
    with up(tmp_path, tiny_bundle_dir, STT_API_KEYS=old_entry) as stack:
        with Client(stack.url, old) as client:
            job = client.wait(client.submit(speech("Hej")).id)
    with up(tmp_path, tiny_bundle_dir, STT_API_KEYS=f"{old_entry},{new_entry}") as stack:
        for key in (old, new):
            with Client(stack.url, key) as client:
                assert client.transcript(job.id).strip() == SENTENCE
    with up(tmp_path, tiny_bundle_dir, STT_API_KEYS=f"{new_entry},{other_entry}") as stack:
        with Client(stack.url, new) as client:
            assert client.transcript(job.id).strip() == SENTENCE
        with Client(stack.url, old) as client, pytest.raises(InvalidApiKeyError):
            client.job(job.id)
        with Client(stack.url, other) as client, pytest.raises(JobNotFoundError):
            client.job(job.id)


def test_what_is_deleted_is_gone_from_the_folder(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Speech
) -> None:
    recording = speech("Detta ska bort")
    with up(tmp_path, tiny_bundle_dir) as stack, Client(stack.url) as client:
        job = client.wait(client.submit(recording).id)
        assert [path.read_bytes() for path in (tmp_path / "audio").iterdir()] == [
            recording.read_bytes()
        ]
        client.delete(job.id)
        assert list((tmp_path / "audio").iterdir()) == []
        with pytest.raises(JobNotFoundError):
            client.transcript(job.id)
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert SENTENCE not in logs
