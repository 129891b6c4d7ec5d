"""The loop around real training: a run that never has time for a second step gets done."""

import json
from pathlib import Path

import pytest
import yaml

from services.contract.model_sources import demo_directory
from tests.training.small_corpus import write_corpus
from training.__main__ import main
from training.platforms.until_done import until_done

N_STEPS = 3


@pytest.mark.slow
def test_training_that_is_stopped_at_every_step_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = [("Hej på dig.", 0.6, "talk"), ("Noll åtta.", 0.8, "talk")] * 2
    write_corpus(tmp_path / "prepared", {"train": clips, "dev": clips[:2]})
    config = tmp_path / "tiny.yaml"
    size = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "attention_heads": 2}
    train = {"max_steps": N_STEPS, "batch_size": 2, "dev_clips": 1, "device": "cpu"}
    content = {
        "name": "tiny",
        "work_dir": str(tmp_path / "run"),
        "prepared": str(tmp_path / "prepared"),
        "model": {"scratch": size, "tokenizer": str(demo_directory())},
        "train": train | {"log_every_steps": 1},
    }
    config.write_text(yaml.safe_dump(content))
    # In this process: three more would spend ten seconds each on their imports.
    command = ["train", "--config", str(config), "--max-time", "0s"]
    assert until_done(lambda: main(command), most_runs=9) == 0
    assert capfd.readouterr().out.count("the next one continues") == N_STEPS - 1
    log = (tmp_path / "run" / "run" / "log.jsonl").read_text().splitlines()
    steps = [line["step"] for line in map(json.loads, log) if "loss" in line]
    assert steps == list(range(1, N_STEPS + 1))
    assert (tmp_path / "run" / "run" / "final" / "model.safetensors").exists()
