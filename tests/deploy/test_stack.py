"""The compose stack as an operator meets it: real containers, real requests, real faults."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from tests.deploy.conftest import SENTENCE, is_ready
from tests.deploy.containers import ROOT, Stack, build_image, inspect_command, missing, run
from tests.deploy.requests import job, submit, wait_for
from tests.redis_server import free_port
from tests.waiting import wait_until

#: How Docker tells of its cache, line by line.
PLAIN = () if os.environ.get("CONTAINER_LAB") else ("--progress", "plain")
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def is_right(text: str) -> bool:
    """Whether a transcript has most words of the sentence; how good the model is, others test."""
    wanted = set(re.findall(r"\w+", SENTENCE.lower()))
    return len(wanted & set(re.findall(r"\w+", text.lower()))) >= 0.6 * len(wanted)


def sdk_text(stack: Stack, recording: Path) -> str:
    """Return what the stock SDK gets for a recording."""
    sdk = openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0)
    with sdk, recording.open("rb") as file:
        return sdk.audio.transcriptions.create(model="whisper-1", file=file).text


def n_workers(stack: Stack) -> int:
    metrics = httpx.get(f"{stack.url}/metrics", timeout=300).text
    value = next(line for line in metrics.splitlines() if line.startswith("stt_workers "))
    return int(float(value.split()[1]))


@contextmanager
def second_worker(stack: Stack) -> Iterator[None]:
    """Run another worker, for a while: other tests count them."""
    stack.compose("up", "-d", "--scale", "worker=2", "worker")
    wait_until(lambda: n_workers(stack) == 2, what="a second worker")
    try:
        yield
    finally:
        for worker in stack.containers("worker")[1:]:  # not every compose scales down
            stack.end(worker)
        wait_until(lambda: n_workers(stack) == 1, what="its end")


def test_the_stock_sdk_gets_the_right_text(stack: Stack, swedish_recording: Path) -> None:
    text = sdk_text(stack, swedish_recording)
    assert is_right(text), text


@pytest.mark.parametrize("service", ["api", "worker"])
def test_our_containers_are_not_root_and_cannot_change_themselves(
    stack: Stack, service: str
) -> None:
    container = stack.containers(service)[0]
    assert stack.inside(container, "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.inside(container, "sh", "-c", "echo x > /app/x")


def test_as_many_processes_answer_as_are_asked_for(stack: Stack) -> None:
    said = stack.log(stack.containers("api")[0])
    n_processes = int(stack.settings["STT_API_PROCESSES"])
    assert said.count("Application startup complete") >= n_processes, said


def test_redis_is_not_published(stack: Stack) -> None:
    container = stack.containers("redis")[0]
    assert run([*inspect_command(), "port", container]).strip() == ""


def test_a_killed_worker_loses_nothing(stack: Stack, long_recording: Path) -> None:
    job_id = submit(stack, long_recording)
    wait_until(lambda: float(str(job(stack, job_id)["progress"])) > 0, what="progress")
    os.kill(stack.process(stack.containers("worker")[0]), signal.SIGKILL)
    stack.compose("up", "-d", "worker")
    wait_for(stack, job_id, "succeeded")


def test_down_and_up_keeps_queued_jobs_and_transcripts(
    stack: Stack, swedish_recording: Path
) -> None:
    done = submit(stack, swedish_recording)
    wait_for(stack, done, "succeeded")
    stack.compose("stop", "-t", "15", "worker")
    waiting = submit(stack, swedish_recording, batch="later")
    stack.compose("down", "-t", "15")
    stack.compose("up", "-d", "redis", "api", "worker")
    wait_until(lambda: is_ready(stack), what="the stack to be ready again")
    wait_for(stack, waiting, "succeeded")
    text = httpx.get(f"{stack.url}/v1/jobs/{done}/transcript?format=text", timeout=300).text
    assert is_right(text), text


def test_two_workers_share_the_load(stack: Stack, swedish_recording: Path) -> None:
    with second_worker(stack):
        for job_id in [submit(stack, swedish_recording) for _ in range(24)]:
            wait_for(stack, job_id, "succeeded")
        done = [stack.log(worker).count("job done") for worker in stack.containers("worker")]
    assert len(done) == 2 and min(done) > 0, done


@pytest.mark.parametrize(
    ("part", "most_mb", "strangers"),
    [("api", 250, {"torch", "ctranslate2", "pip"}), ("worker", 600, {"torch", "fastapi", "pip"})],
)
def test_images_hold_what_they_need(
    images: None, part: str, most_mb: int, strangers: set[str]
) -> None:
    """What we put on the base image: its size, and libraries that are not meant to be there."""
    look = "du -cm /opt/venv /app | tail -n 1 | cut -f 1; ls /opt/venv/lib/python3.11/site-packages"
    options = ("run", "--rm", "--network", "none", f"whisper-sv-{part}", "sh", "-c", look)
    size_mb, *found = run([*inspect_command(), *options]).split()
    assert int(size_mb) < most_mb
    assert not strangers & set(found)


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("api", ("-c", "import services.api.__main__")),
        ("worker", ("-c", "from services.worker import batch_worker, metrics, sweeper, tasks")),
        ("worker", ("-m", "services.worker", "--healthcheck")),
    ],
)
def test_nothing_is_compiled_again(stack: Stack, part: str, command: tuple[str, ...]) -> None:
    """The health check of a worker runs three times a minute, for as long as it lives."""
    told = stack.inside(stack.containers(part)[0], "python", "-v", *command)
    assert "code object from '/opt/venv" in told
    assert not re.findall(r"code object from '(/(?:opt/venv|app)/\S+\.py)'", told)


@pytest.mark.parametrize("part", ["api", "worker"])
def test_building_again_is_all_cache(images: None, part: str) -> None:
    printed = build_image(f"services/{part}/Dockerfile", f"whisper-sv-{part}", *PLAIN)
    hits = len(re.findall(r"^--> Using cache|^#\d+ CACHED", printed, flags=re.MULTILINE))
    text = (ROOT / "services" / part / "Dockerfile").read_text()
    assert hits >= len(re.findall(r"^(?:RUN|COPY) ", text, flags=re.MULTILINE))
    assert "Downloading" not in printed and "Collecting" not in printed


def test_one_container_is_enough(swedish_recording: Path) -> None:
    reason = missing()
    if reason:
        pytest.skip(f"containers cannot run here: {reason}")
    build_image("deploy/all-in-one/Dockerfile", "whisper-sv")
    name, port = f"sv-test-one-{free_port()}", free_port()
    command = ["run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:8000"]
    command += ["-e", "STT_PUBLISHED_HOST=127.0.0.1", "whisper-sv"]
    run([*inspect_command(), *command])
    alone = Stack(project=name, port=port)
    try:
        wait_until(lambda: is_ready(alone), what="the container to be ready")
        text = sdk_text(alone, swedish_recording)
        assert is_right(text), text
    finally:
        print(*alone.end(name)[-40:], sep="\n")
