"""The stack's state survives what docs/operations.md says it survives; its own commands are run."""

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests import documents
from tests.deploy.conftest import is_ready
from tests.deploy.containers import Stack, inspect_command, run
from tests.deploy.requests import job, submit, wait_for
from tests.documents import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

Speech = Callable[..., Path]


def documented(first_line: str) -> tuple[str, ...]:
    """Return the block of the handbook that begins with this line."""
    found = [
        block.lines
        for block in documents.blocks(ROOT / "docs" / "operations.md")
        if block.lines[0] == first_line
    ]
    assert len(found) == 1, first_line
    return found[0]


def follow(lines: tuple[str, ...], stack: Stack, folder: Path) -> None:
    """Run commands as they stand there, on this stack's volumes and in a folder."""
    for line in lines:
        here = line.replace("whisper-sv_", f"{stack.project}_").replace("$PWD", str(folder))
        docker, verb, *words = shlex.split(here)
        assert docker == "docker", line
        if verb == "compose":
            stack.compose(*words)
        else:
            run([*inspect_command(), verb, *words])


def text(stack: Stack, job_id: str) -> str:
    answer = httpx.get(f"{stack.url}/v1/jobs/{job_id}/transcript?format=text", timeout=300)
    answer.raise_for_status()
    return answer.text


def audio(stack: Stack, job_id: str) -> bytes:
    answer = httpx.get(f"{stack.url}/v1/jobs/{job_id}/audio", timeout=300)
    answer.raise_for_status()
    return answer.content


def wait_ready(stack: Stack) -> None:
    wait_until(lambda: is_ready(stack), what="the stack to be ready again")


def test_backup_and_restore_bring_back_text_and_recordings_and_jobs_that_waited(
    stack: Stack, swedish_recording: Path, tmp_path: Path
) -> None:
    done = submit(stack, swedish_recording)
    wait_for(stack, done, "succeeded")
    before = text(stack, done)
    stack.compose("stop", "-t", "15", "worker")
    waiting = submit(stack, swedish_recording, batch="later")
    assert job(stack, waiting)["status"] == "queued"
    follow(documented("docker compose stop redis"), stack, tmp_path)
    after_backup = submit(stack, swedish_recording, batch="lost with the wipe")
    follow(documented("docker compose down"), stack, tmp_path)
    wait_ready(stack)
    assert text(stack, done) == before
    assert audio(stack, done) == swedish_recording.read_bytes()
    wait_for(stack, waiting, "succeeded")
    assert text(stack, waiting)
    assert httpx.get(f"{stack.url}/v1/jobs/{after_backup}", timeout=300).status_code == 404


def test_a_new_redis_password_costs_no_job(
    stack: Stack, swedish_recording: Path, long_recording: Path
) -> None:
    done = submit(stack, swedish_recording)
    wait_for(stack, done, "succeeded")
    before = text(stack, done)
    running = submit(stack, long_recording, batch="while the password changes")
    wait_for(stack, running, "processing")
    old = stack.settings["REDIS_PASSWORD"]
    stack.settings["REDIS_PASSWORD"] = "another" + old
    stack.compose("up", "-d", "redis", "api", "worker")
    wait_ready(stack)
    wait_for(stack, running, "succeeded")
    assert text(stack, done) == before
    redis = stack.containers("redis")[0]
    assert "WRONGPASS" in stack.inside(redis, "redis-cli", "-a", old, "ping")


def test_a_stack_that_lost_power_goes_on(stack: Stack, long_recording: Path) -> None:
    running = submit(stack, long_recording, batch="cut off")
    wait_for(stack, running, "processing")
    for service in ("worker", "api", "redis"):
        os.kill(stack.process(stack.containers(service)[0]), signal.SIGKILL)
    stack.compose("up", "-d", "redis", "api", "worker")
    wait_ready(stack)
    wait_for(stack, running, "succeeded")
