"""kill -9 at random moments: the run ends with the weights of one that nobody disturbed."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.training import forked
from tests.waiting import wait_until
from training.prepare.shards import PreparedCorpus
from training.time_limit import EXIT_RESUMABLE
from training.train import checkpoints
from training.train.config import ModelConfig, TrainConfig

pytestmark = pytest.mark.slow
N_KILLS = 3


def command(config_file: Path, work_dir: Path) -> list[str]:
    return ["train", "--config", str(config_file), "--set", f"work_dir={work_dir}"]


def final_weights(work_dir: Path) -> str:
    path = work_dir / "run" / "final" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def config_file(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: ModelConfig,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
) -> Path:
    folder = tmp_path_factory.mktemp("config")
    run = tiny_run.model_copy(update={"max_steps": 20, "save_every_steps": 2})
    content: dict[str, Any] = {"name": "t", "work_dir": str(folder), "prepared": corpus.url}
    content |= {"model": tiny_model.model_dump(mode="json"), "train": run.model_dump(mode="json")}
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def undisturbed(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The weights that a run ends with when nobody disturbs it, and how many seconds it takes."""
    work_dir = tmp_path_factory.mktemp("undisturbed")
    forked.start(["--help"]).join()  # the imports are done before the clock starts
    began = time.monotonic()
    forked.run(command(config_file, work_dir))
    return final_weights(work_dir), time.monotonic() - began


def test_killed_run_ends_with_the_same_weights(
    tmp_path: Path, config_file: Path, undisturbed: tuple[str, float]
) -> None:
    weights, whole_s = undisturbed
    moments = random.Random(0)
    n_kills, work_dir = 0, tmp_path / "killed"
    while n_kills < N_KILLS:
        process = forked.start(command(config_file, work_dir))
        process.join(moments.uniform(0.05, 0.4) * whole_s)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            n_kills += 1
        else:  # It was faster than the one before, on a machine that has less to do now.
            assert process.exitcode == 0
            n_kills, whole_s, work_dir = 0, whole_s / 2, tmp_path / f"killed-{whole_s}"
    forked.run(command(config_file, work_dir))
    assert final_weights(work_dir) == weights


def test_sigterm_to_data_workers_too_ends_with_a_checkpoint(
    tmp_path: Path, config_file: Path, undisturbed: tuple[str, float]
) -> None:
    # Real commands: how the loader starts its processes depends on how this one was started.
    train = [sys.executable, "-m", "training", *command(config_file, tmp_path / "run")]
    with_workers = [*train, "--set", "train.data_workers=2"]
    with subprocess.Popen(with_workers, start_new_session=True) as process:
        folder = tmp_path / "run" / "run" / "checkpoints"
        wait_until(
            lambda: bool(checkpoints.complete_checkpoints(folder)),
            what="the first checkpoint",
        )
        os.killpg(process.pid, signal.SIGTERM)  # as Slurm, systemd and `timeout` do
        assert process.wait(timeout=300) == EXIT_RESUMABLE
    subprocess.run(with_workers, check=True, timeout=600)
    assert final_weights(tmp_path / "run") == undisturbed[0]
