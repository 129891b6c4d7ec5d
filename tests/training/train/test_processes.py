"""Several processes train together as one would that adds up their batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from services.contract.model_sources import demo_directory
from training.__main__ import main
from training.prepare.shards import PreparedCorpus

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As many as each of several processes has."""
    torch.set_num_threads(1)


def training(work: Path, corpus: PreparedCorpus, *, accumulate: int = 1) -> list[str]:
    """Write a config of four steps; return the command that trains them."""
    model = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "attention_heads": 2}
    config = {
        "name": "t",
        "work_dir": str(work),
        "prepared": corpus.url,
        "model": {"scratch": model, "tokenizer": str(demo_directory())},
        "train": {
            "max_steps": 4,
            "warmup_steps": 1,
            "batch_size": 2,
            "mix": {"full_context_share": 0.0},
            "gradient_accumulation_steps": accumulate,
            "save_every_steps": 2,
            "log_every_steps": 1,
            "dev_clips": 2,
            "device": "cpu",
        },
        "convert": {},
    }
    work.mkdir()
    (work / "t.yaml").write_text(yaml.safe_dump(config))
    return ["train", "--config", str(work / "t.yaml")]


def gradients(work: Path) -> list[float]:
    """Return the norm of each step's gradient."""
    lines = map(json.loads, (work / "run" / "log.jsonl").read_text().splitlines())
    return [line["grad_norm"] for line in lines if "loss" in line]


def test_two_processes_see_the_batches_that_one_accumulates(
    corpus: PreparedCorpus, tmp_path: Path
) -> None:
    torchrun = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    program = [sys.executable, "-m", *torchrun, "-m", "training"]
    program += training(tmp_path / "two", corpus)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    assert main(training(tmp_path / "one", corpus, accumulate=2)) == 0
    together = gradients(tmp_path / "two")
    assert len(together) == 4
    assert together == pytest.approx(gradients(tmp_path / "one"), rel=1e-3)
