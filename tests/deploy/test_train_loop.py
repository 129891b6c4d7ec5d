"""Training in its container, and the running stack that takes the new model without a restart."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.deploy.containers import Stack, build_image
from tests.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

RESUMABLE = 75
CONFIG = {
    "name": "lesson",
    "work_dir": "runs/lesson",
    "synthesize": {"n_train": 24, "n_dev": 6, "n_test": 6, "n_speakers": 4, "n_processes": 1},
    "prepare": {"source": "runs/lesson/corpus", "splits": {"extra": False}, "workers": 1},
    # A model that always says one sentence: what it learns in a few steps changes nothing.
    "model": {"base": "/lesson/checkpoint"},
    "train": {
        "max_steps": 4,
        "warmup_steps": 1,
        "learning_rate": 1e-7,
        "batch_size": 4,
        "mix": {"joined_share": 0.2, "joined_max_s": 6},
        "save_every_steps": 2,
        "evaluate_every_steps": 2,
        "dev_clips": 2,
        "device": "cpu",
    },
    "evaluate": {"splits": ["dev"], "beam_size": 1, "max_new_tokens": 8, "long_form_minutes": 0},
    "convert": {"quantization": "float32", "parity_clips": 2, "quantization_clips": 2},
    "deploy": {"models_dir": "data/models"},
}


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the container: a config, a checkpoint to start from, a damaged bundle."""
    from tests.tiny_model import tiny_bundle, tiny_checkpoint

    folder = tmp_path_factory.mktemp("lesson")
    tiny_checkpoint(folder / "checkpoint")
    damaged = tiny_bundle(folder / "damaged") / "model.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    (folder / "lesson.yaml").write_text(yaml.safe_dump(CONFIG))
    # The container's user is another one.
    for path in [folder, folder.parent, folder.parent.parent, *folder.rglob("*")]:
        path.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def train(stack: Stack, lesson: Path, *arguments: str, status: int = 0) -> str:
    """Run the training image on the stack's volumes; more threads would only wait, spinning."""
    return stack.compose(
        "--profile", "train", "run", "--rm", "-T", "-e", "OMP_NUM_THREADS=1",
        "-v", f"{lesson}:/lesson:ro", "train",
        arguments[0], "--config", "/lesson/lesson.yaml", *arguments[1:],
        timeout_s=1200, expected_status=status,
    )  # fmt: skip


def served(stack: Stack) -> str:
    answer = httpx.get(f"{stack.url}/v1/models", timeout=300)
    return str(answer.json()["data"][0]["bundle"])


def transcribed_by(stack: Stack, recording: Path) -> str:
    with recording.open("rb") as file:
        form = {"response_format": "verbose_json", "model": "whisper-1"}
        answer = httpx.post(
            f"{stack.url}/v1/audio/transcriptions", files={"file": file}, data=form, timeout=300
        )
    return str(answer.json()["model"])


def test_the_loop_from_recordings_to_the_next_transcript(
    stack: Stack, lesson: Path, swedish_recording: Path
) -> None:
    build_image("Dockerfile.train", "whisper-sv-train", "--build-arg", "DEVICE=cpu")
    before = served(stack)
    train(stack, lesson, "recipe", "--max-time", "0s", status=RESUMABLE)
    train(stack, lesson, "recipe")
    wait_until(
        lambda: transcribed_by(stack, swedish_recording).startswith("lesson@"),
        what="the worker to take the new model",
    )
    # The worker tells the API with its next heartbeat.
    wait_until(lambda: served(stack).startswith("lesson@"), what="the API to know of it")
    new = served(stack)
    told = train(stack, lesson, "deploy", "--source", "/lesson/damaged", status=1)
    assert "model.bin" in told
    assert served(stack) == new
    assert transcribed_by(stack, swedish_recording) == new
    train(stack, lesson, "rollback")
    wait_until(
        lambda: transcribed_by(stack, swedish_recording) == before,
        what="the worker to go back",
    )
