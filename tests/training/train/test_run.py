"""Whole runs of a tiny model: resumable to the bit, honest about results, safe on bad input."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import WhisperForConditionalGeneration

from services.contract.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    TokenizerError,
)
from tests.training.small_corpus import write_corpus
from training.convert.checkpoint import check_checkpoint
from training.prepare.shards import PreparedCorpus
from training.train import checkpoints, finish
from training.train.averaging import average_weights
from training.train.config import ModelConfig, TrainConfig
from training.train.run import train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums over threads come in any order; the run sets this by itself only where it matters."""
    torch.set_num_threads(1)


def changed(section: TrainConfig, **values: object) -> TrainConfig:
    return TrainConfig.model_validate(section.model_dump() | values)


def sha256(checkpoint: Path) -> str:
    return hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()


def test_run_ends_with_a_checkpoint_that_converts(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)
    final = run_dir / "final"
    check_checkpoint(final)
    model = WhisperForConditionalGeneration.from_pretrained(final)
    assert model.config.vocab_size == 51865
    facts = json.loads((final / "training.json").read_text())
    assert facts["short_context"] and facts["languages"] == ["sv"]
    assert facts["prepared_manifest_sha256"] == corpus.manifest_sha256
    lines = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    assert all("samples_per_second" in line for line in lines if "loss" in line)
    assert [line["step"] for line in lines if "dev_wer" in line] == [4, 8]
    events = EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    for name in ("loss", "learning_rate", "samples_per_second"):
        assert [event.step for event in events.Scalars(f"train/{name}")] == list(range(1, 9))
    assert [event.step for event in events.Scalars("train/dev_wer")] == [4, 8]


@pytest.mark.slow
def test_resumed_run_equals_an_uninterrupted_one(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, tmp_path: Path
) -> None:
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert train(tiny_model, tiny_run, corpus, whole, seed=1)
    stop_after(halved / "checkpoints" / "checkpoint-4")
    assert not train(tiny_model, tiny_run, corpus, halved, seed=1)
    stopped_at = checkpoints.newest_complete(halved / "checkpoints")
    assert stopped_at is not None and 4 <= checkpoints.step_of(stopped_at) < 8
    assert train(tiny_model, tiny_run, corpus, halved, seed=1)
    for name in ("checkpoints/checkpoint-8", "final"):
        assert sha256(whole / name) == sha256(halved / name)
    optimizers = [run / "checkpoints" / "checkpoint-8" / "optimizer.pt" for run in (whole, halved)]
    assert optimizers[0].read_bytes() == optimizers[1].read_bytes()


def stop_after(checkpoint: Path) -> None:
    """Send this process SIGTERM as soon as a checkpoint is complete."""

    def wait() -> None:
        while not checkpoints.is_complete(checkpoint):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def test_time_limit_stops_with_a_checkpoint(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    assert not train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)
    assert checkpoints.newest_complete(run_dir / "checkpoints") is not None
    assert not (run_dir / "final").exists()


@pytest.mark.slow
def test_checkpoint_that_a_stop_left_unevaluated_is_evaluated_on_resume(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    steps = {"save_every_steps": 1, "evaluate_every_steps": 1}
    often = changed(tiny_run, **steps, keep_last=9, remote=copies.as_uri())
    first = "checkpoint-1"
    assert not train(tiny_model, often, corpus, tmp_path / "run", seed=1, max_time_s=0.0)
    assert checkpoints.word_error_rate(tmp_path / "run" / "checkpoints" / first) is None
    assert not train(tiny_model, often, corpus, tmp_path / "run", seed=1, max_time_s=0.0)
    assert checkpoints.word_error_rate(tmp_path / "run" / "checkpoints" / first) is not None
    assert checkpoints.word_error_rate(copies / first) is not None


def test_second_run_in_the_same_folder_is_refused(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    run_dir.mkdir()
    code = "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.lockf(lock, fcntl.LOCK_EX)"
    code += "; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(run_dir / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(CheckpointError, match="another run is at work in"):
            train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)
        assert not (run_dir / "fingerprint.json").exists()
        other.communicate()
    assert not train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)


def test_finished_run_is_not_trained_again(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    (run_dir / "final").mkdir(parents=True)
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)
    assert not (run_dir / "checkpoints").exists()
    with pytest.raises(ConfigError, match="train.learning_rate changed"):
        train(tiny_model, changed(tiny_run, learning_rate=1e-2), corpus, run_dir, seed=1)


def test_run_goes_on_with_what_fits_another_machine(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    (run_dir / "final").mkdir(parents=True)
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)
    other = changed(tiny_run, data_workers=1, keep_last=1, log_every_steps=5)
    assert train(tiny_model, other, corpus, run_dir, seed=1)
    with pytest.raises(ConfigError, match="^train.batch_size changed"):
        train(tiny_model, changed(other, batch_size=2, keep_last=3), corpus, run_dir, seed=1)


def test_run_of_a_version_with_fewer_options_goes_on(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    (run_dir / "final").mkdir(parents=True)
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)
    fingerprint = json.loads((run_dir / "fingerprint.json").read_text())
    del fingerprint["train"]["mix"]["full_context_share"], fingerprint["model"]["guide_heads"]
    (run_dir / "fingerprint.json").write_text(json.dumps(fingerprint))
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)


@pytest.mark.slow
def test_half_written_newest_checkpoint_is_passed_over(
    tiny_model: ModelConfig,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    run_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert not train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)
    broken = run_dir / "checkpoints" / "checkpoint-7"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"half")
    assert train(tiny_model, tiny_run, corpus, run_dir, seed=1)
    assert "checkpoint-7 is incomplete and was set aside as checkpoint-7.broken" in caplog.text
    assert not list(broken.parent.glob("*.broken"))


def test_changed_config_is_refused_on_resume(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)
    with pytest.raises(ConfigError, match="train.learning_rate"):
        train(tiny_model, changed(tiny_run, learning_rate=1e-2), corpus, run_dir, seed=1)
    with pytest.raises(ConfigError, match="seed"):
        train(tiny_model, tiny_run, corpus, run_dir, seed=2)


def test_config_that_failed_at_the_start_may_be_mended(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    with pytest.raises(TokenizerError, match="no Whisper tokenizer"):
        train(ModelConfig(base=str(run_dir / "nowhere")), tiny_run, corpus, run_dir, seed=1)
    assert not train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)


@pytest.mark.slow
def test_length_may_change_until_the_rate_decays(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    train(tiny_model, tiny_run, corpus, run_dir, seed=1, max_time_s=0.0)
    longer = changed(tiny_run, max_steps=10)
    train(tiny_model, longer, corpus, run_dir, seed=1, max_time_s=0.0)
    assert train(tiny_model, longer, corpus, run_dir, seed=1)
    (run_dir / "final").rename(run_dir / "done")
    with pytest.raises(ConfigError, match="train.max_steps"):
        train(tiny_model, changed(tiny_run, max_steps=20), corpus, run_dir, seed=1)


@pytest.mark.slow
def test_average_of_the_last_checkpoints_is_tried(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    copies = run_dir.with_name("copies")
    averaged = changed(tiny_run, average_last=2, keep_last=1, remote=copies.as_uri())
    assert train(tiny_model, averaged, corpus, run_dir, seed=1)
    assert len(checkpoints.complete_checkpoints(run_dir / "checkpoints")) == 2
    assert len(checkpoints.complete_checkpoints(copies)) == 2


@pytest.mark.slow
def test_run_that_was_stopped_averages_the_checkpoints_of_one_that_was_not(
    tiny_model: ModelConfig,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    averaged: list[list[str]] = []

    def noting(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
        averaged.append([path.name for path in paths])
        return average_weights(paths)

    monkeypatch.setattr(finish, "average_weights", noting)
    config = changed(tiny_run, evaluate_every_steps=1, average_last=3)
    assert train(tiny_model, config, corpus, tmp_path / "whole", seed=1)
    assert not train(tiny_model, config, corpus, tmp_path / "stopped", seed=1, max_time_s=0.0)
    assert train(tiny_model, config, corpus, tmp_path / "stopped", seed=1)
    assert averaged == 2 * [["checkpoint-4", "checkpoint-8"]]
    lines = (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    rated = [line["step"] for line in map(json.loads, lines) if "dev_wer" in line]
    assert rated == [4, 8], "another one could be the best"


@pytest.mark.slow
def test_run_continues_from_its_remote_copy(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, tmp_path: Path
) -> None:
    remote = changed(tiny_run, remote=(tmp_path / "copies").as_uri(), keep_last=1)
    whole, lost, fresh = (tmp_path / name for name in ("whole", "lost", "fresh"))
    assert train(tiny_model, tiny_run, corpus, whole, seed=1)
    train(tiny_model, remote, corpus, lost, seed=1, max_time_s=0.0)
    assert train(tiny_model, remote, corpus, fresh, seed=1)
    assert sha256(fresh / "final") == sha256(whole / "final")
    first = json.loads((fresh / "log.jsonl").read_text().splitlines()[0])
    assert first["step"] > 1
    with pytest.raises(ConfigError, match="train.learning_rate changed"):
        other = changed(remote, learning_rate=1e-2)
        train(tiny_model, other, corpus, tmp_path / "other", seed=1)


def test_remote_that_cannot_be_used_is_named(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    bad = changed(tiny_run, remote="nowhere://bucket/run")
    with pytest.raises(CheckpointError, match="nowhere"):
        train(tiny_model, bad, corpus, run_dir, seed=1)


def test_corpus_without_training_clips_is_refused(
    tiny_model: ModelConfig, tiny_run: TrainConfig, tmp_path: Path, run_dir: Path
) -> None:
    empty = write_corpus(tmp_path / "prepared", {"dev": [("Hej.", 0.5, "talk")]})
    with pytest.raises(DataError, match="no clips in train"):
        train(tiny_model, tiny_run, empty, run_dir, seed=1)


def test_shares_that_leave_no_clip_are_refused(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> None:
    none = changed(tiny_run, domain_shares={"talk": 0.0})
    with pytest.raises(ConfigError, match="domain_shares leaves none of 12 clips"):
        train(tiny_model, none, corpus, run_dir, seed=1)


def test_text_longer_than_the_decoder_is_refused(
    tiny_model: ModelConfig, tiny_run: TrainConfig, tmp_path: Path, run_dir: Path
) -> None:
    clips = [("Xyz " * 500, 0.5, "talk")]
    long = write_corpus(tmp_path / "prepared", {"train": clips, "dev": clips})
    with pytest.raises(DataError, match="train-000"):
        train(tiny_model, tiny_run, long, run_dir, seed=1)
