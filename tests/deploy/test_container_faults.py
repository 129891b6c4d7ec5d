"""A container that cannot start says why in one line, and needs no network to say it."""

from collections.abc import Callable

import pytest

from tests.deploy.containers import Stack, build_image, inspect_command, run

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

Start = Callable[..., str]
ALONE = ("--network", "none")


@pytest.fixture(scope="module")
def start(images: None) -> Start:
    """Return a function that runs an image which cannot start: `start("worker", *options)`."""
    build_image("deploy/all-in-one/Dockerfile", "whisper-sv")

    def refused(image: str, *options: str, command: tuple[str, ...] = ()) -> str:
        hardened = ["run", "--rm", "--read-only", "--tmpfs", "/tmp", *options]
        printed = run([*inspect_command(), *hardened, image, *command], expected_status=1)
        lines = [line for line in printed.splitlines() if not line.startswith("Starting Redis")]
        assert len(lines) == 1 and lines[0].startswith("error: "), printed
        return lines[0]

    return refused


def test_a_missing_gpu(start: Start) -> None:
    line = start("whisper-sv-worker", *ALONE, "-e", "STT_DEVICE=cuda")
    assert "nvidia-smi" in line and "how the container gets the GPU" in line


def test_a_missing_model(start: Start) -> None:
    line = start("whisper-sv-worker", *ALONE, "-e", "STT_MODEL=/app/data/models/none")
    assert "/app/data/models/none is not a directory" in line


def test_a_hub_out_of_reach(start: Start) -> None:
    line = start("whisper-sv-worker", *ALONE, "-e", "STT_MODEL=KBLab/kb-whisper-small")
    assert "KBLab/kb-whisper-small" in line and "check the network" in line and "demo" in line


@pytest.mark.parametrize("image", ["whisper-sv-api", "whisper-sv-worker"])
def test_a_wrong_redis_password(start: Start, stack: Stack, image: str) -> None:
    wrong = "STT_REDIS_URL=redis://:wrong@redis:6379/0"
    inside = ("--network", f"{stack.project}_inside")
    line = start(image, *inside, "-e", wrong, "-e", "STT_ALLOW_NO_KEYS=true")
    assert "Redis refuses the password" in line and "REDIS_PASSWORD" in line


@pytest.mark.parametrize("image", ["whisper-sv-api", "whisper-sv-worker"])
def test_an_address_that_is_none_of_redis(start: Start, image: str) -> None:
    line = start(image, *ALONE, "-e", "STT_REDIS_URL=redis://redis/notanumber")
    assert "STT_REDIS_URL" in line


@pytest.mark.parametrize("image", ["whisper-sv-api", "whisper-sv"])
def test_a_public_address_without_keys(start: Start, image: str) -> None:
    assert "STT_API_KEYS" in start(image, *ALONE)


def test_a_full_disk(start: Start) -> None:
    small = ("--tmpfs", "/full:size=1m,mode=1777")
    line = start("whisper-sv", *ALONE, *small, command=("up", "--data-dir", "/full"))
    assert "no space left" in line and "make room" in line


def test_a_folder_of_somebody_else(start: Start) -> None:
    line = start("whisper-sv", *ALONE, command=("up", "--data-dir", "/app/elsewhere"))
    assert "Cannot write to the data folder /app/elsewhere" in line


def test_without_a_network_the_bundled_model_runs(images: None) -> None:
    """Nothing is downloaded when a container starts."""
    check = ["python", "-m", "services.worker", "--check"]
    command = ["run", "--rm", "--read-only", "--tmpfs", "/tmp", *ALONE, "whisper-sv-worker"]
    assert '"ok": true' in run([*inspect_command(), *command, *check])
