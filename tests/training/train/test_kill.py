"""kill -9 at random moments: the run ends with the weights of one that nobody disturbed."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from training.prepare.shards import PreparedCorpus
from training.train.config import ModelConfig, TrainConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
N_KILLS = 10


def command(config_file: Path, work_dir: Path) -> list[str]:
    train = [sys.executable, "-m", "training", "train", "--config", str(config_file)]
    return [*train, "--set", f"work_dir={work_dir}"]


def final_weights(work_dir: Path) -> str:
    path = work_dir / "run" / "final" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_killed_run_ends_with_the_same_weights(
    tmp_path: Path, tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus
) -> None:
    config_file = tmp_path / "c.yaml"
    run = tiny_run.model_copy(update={"max_steps": 40, "save_every_steps": 2})
    content = {"name": "t", "work_dir": str(tmp_path / "whole"), "prepared": corpus.url}
    content |= {"model": tiny_model.model_dump(mode="json"), "train": run.model_dump(mode="json")}
    config_file.write_text(yaml.safe_dump(content))

    began = time.monotonic()
    subprocess.run(command(config_file, tmp_path / "whole"), check=True)
    whole_s = time.monotonic() - began
    moments = random.Random(0)
    for _ in range(N_KILLS):
        process = subprocess.Popen(command(config_file, tmp_path / "killed"))
        try:
            process.wait(timeout=moments.uniform(0.2, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    subprocess.run(command(config_file, tmp_path / "killed"), check=True)
    assert final_weights(tmp_path / "killed") == final_weights(tmp_path / "whole")
