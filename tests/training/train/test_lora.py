"""Adapters all the way: trained, killed, resumed, merged, converted, loaded by faster-whisper."""

import hashlib
import signal
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
import torch
import yaml
from transformers import WhisperForConditionalGeneration

from services.contract.model_bundle import verify
from tests.tiny_model import SENTENCE
from tests.training import forked
from tests.training.small_corpus import write_corpus
from tests.training.small_recipe import small_recipe
from tests.waiting import wait_until
from training.train import checkpoints

pytestmark = pytest.mark.slow
TARGETS = ("q_proj", "v_proj", "fc1")


@pytest.fixture
def command(tmp_path: Path, tiny_checkpoint_dir: Path) -> list[str]:
    """The recipe with adapters, on a dozen clips of noise."""
    clips = [("Hej på dig.", 0.5 + 0.1 * (i % 5), "talk") for i in range(12)]
    write_corpus(tmp_path / "prepared", {"train": clips, "dev": clips[:4], "test": clips[4:8]})
    content = small_recipe(tmp_path / "whole", tiny_checkpoint_dir)
    content["prepared"] = str(tmp_path / "prepared")
    lora = {"rank": 4, "alpha": 8, "dropout": 0.1, "target_modules": list(TARGETS)}
    content["model"]["lora"] = lora
    content["train"] |= {"max_steps": 20, "learning_rate": 1e-4, "evaluate_every_steps": 10}
    content["convert"]["quantization"] = "int8"
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(content))
    return ["recipe", "--config", str(config)]


def weights_sha256(work_dir: Path) -> str:
    return hashlib.sha256((work_dir / "bundle" / "model.bin").read_bytes()).hexdigest()


def test_adapters_survive_kill_and_reach_faster_whisper(
    command: list[str], tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    forked.run(command)
    again = [*command, "--set", f"work_dir={killed}"]
    process = forked.start(again)
    folder = killed / "run" / "checkpoints"
    wait_until(lambda: bool(checkpoints.complete_checkpoints(folder)), what="a checkpoint")
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it had ended before"
    forked.run(again)
    assert weights_sha256(killed) == weights_sha256(whole)

    start = WhisperForConditionalGeneration.from_pretrained(tiny_checkpoint_dir).state_dict()
    final = WhisperForConditionalGeneration.from_pretrained(killed / "run" / "final").state_dict()
    assert start.keys() == final.keys()
    differ = {name for name in start if not torch.equal(start[name], final[name])}
    assert differ and all(name.split(".")[-2] in TARGETS for name in differ)

    verify(killed / "bundle")
    model = faster_whisper.WhisperModel(str(killed / "bundle"), device="cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    segments, _ = model.transcribe(noise, language="sv", beam_size=1, word_timestamps=True)
    assert "".join(segment.text for segment in segments).strip() == SENTENCE
