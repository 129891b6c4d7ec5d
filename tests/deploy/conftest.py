"""The running stack that the container tests share."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.containers import Stack, build_image, missing
from tests.redis_server import free_port
from tests.waiting import wait_until

SENTENCE = "Bussen går klockan sju."


@pytest.fixture(scope="session")
def images() -> None:
    """Build the images of the serving stack."""
    reason = missing()
    if reason:
        pytest.skip(f"containers cannot run here: {reason}")
    build_image("services/api/Dockerfile", "whisper-sv-api")
    build_image("services/worker/Dockerfile", "whisper-sv-worker")


def is_ready(stack: Stack) -> bool:
    try:
        answer = httpx.get(f"{stack.url}/readyz", timeout=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


@pytest.fixture(scope="session")
def stack(images: None) -> Iterator[Stack]:
    """Start the stack with the bundled model; remove it with its volumes afterwards."""
    stack = Stack(
        project=f"sv-test-{secrets.token_hex(3)}",
        port=free_port(),
        settings={
            "STT_MODEL": "demo",
            "REDIS_PASSWORD": secrets.token_hex(16),
            "STT_READY_REQUIRES_WORKER": "true",
            "STT_API_PROCESSES": "2",
        },
    )
    try:
        stack.compose("up", "-d", "redis", "api", "worker")
        wait_until(lambda: is_ready(stack), what="the stack to be ready")
        yield stack
    finally:
        for service in ("api", "worker", "redis"):
            for name in stack.containers(service):
                print(*stack.end(name)[-40:], sep="\n")
        stack.compose("down", "-v", "-t", "15")


@pytest.fixture(scope="session")
def swedish_recording(speech: Callable[..., Path]) -> Path:
    """A sentence of the bundled model's own world."""
    return speech(SENTENCE)


@pytest.fixture(scope="session")
def long_recording(speech: Callable[..., Path]) -> Path:
    """Minutes of speech, so that a worker can be killed in the middle."""
    return speech(" ".join([SENTENCE] * 80))
