"""What the shipped configs ask of the trainer, it does: a few steps of each, with a tiny base."""

import json
from pathlib import Path

import pytest

from services.contract.errors import QualityError
from tests.training.small_corpus import write_corpus
from training.config import load_config
from training.convert.checkpoint import check_checkpoint
from training.train.config import TrainConfig
from training.train.run import train

CONFIGS = Path("training/configs")
SMALLER = {"max_steps": 2, "warmup_steps": 1, "batch_size": 2, "joined_batch_size": 1}
SMALLER |= {"save_every_steps": 1, "evaluate_every_steps": 2, "log_every_steps": 1}
SMALLER |= {"dev_clips": 2, "data_workers": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base-sv", "small-sv", "small-sv-best"])
def test_shipped_config_trains(name: str, tmp_path: Path, tiny_checkpoint_dir: Path) -> None:
    clips = [("Hej på dig.", 0.5 + 0.1 * (i % 5), "talk") for i in range(12)]
    corpus = write_corpus(tmp_path / "prepared", {"train": clips, "dev": clips[:4]})
    config = load_config(CONFIGS / f"{name}.yaml", [f"model.base={tiny_checkpoint_dir}"])
    smaller = config.train.model_dump() | SMALLER | {"device": "cpu"}
    try:
        train(config.model, TrainConfig.model_validate(smaller), corpus, tmp_path / "run", seed=1)
    except QualityError:  # two steps on noise teach nothing
        pass
    check_checkpoint(tmp_path / "run" / "final")
    lines = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert all(line["grad_norm"] > 0 for line in lines if "loss" in line)
