"""Runs that start from a checkpoint: what they take over, what they refuse, what they say."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from transformers import WhisperForConditionalGeneration

from services.contract.errors import ConfigError, QualityError, TokenizerError
from training.prepare.shards import PreparedCorpus
from training.train import callbacks
from training.train.config import LoraConfig, ModelConfig, TrainConfig
from training.train.dev_evaluation import DevResult, evaluate_dev
from training.train.run import train


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from more."""
    torch.set_num_threads(1)


@pytest.fixture
def base(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be spoilt."""
    return shutil.copytree(tiny_checkpoint_dir, tmp_path / "base")


def changed(section: TrainConfig, **values: object) -> TrainConfig:
    return TrainConfig.model_validate(section.model_dump() | values)


@pytest.mark.slow
def test_run_says_where_it_starts_and_ends_and_each_line_once(
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    tiny_checkpoint_dir: Path,
    run_dir: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO", "training")
    model, config = (
        ModelConfig(base=str(tiny_checkpoint_dir)),
        changed(tiny_run, learning_rate=1e-9),
    )
    assert not train(model, config, corpus, run_dir, seed=1, max_time_s=0.0)
    assert train(model, config, corpus, run_dir, seed=1)
    before, again, half, whole, after = caplog.messages
    assert before.startswith("dev WER before training: 1") and before.endswith("padded to 30 s")
    assert again == f"continuing from {run_dir / 'checkpoints' / 'checkpoint-1'}"
    assert half.startswith("step 4: dev WER 1") and whole.startswith("step 8: dev WER 1")
    assert after.startswith(f"trained: {run_dir / 'final'}, dev WER 1")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:5] for line in printed] == [
        ["step", str(step), "of", "8", "loss"] for step in range(1, 9)
    ]
    assert all(line.endswith(" left") for line in printed)


@pytest.mark.slow
def test_fine_tuning_keeps_the_generation_facts_of_its_base(
    tiny_run: TrainConfig, corpus: PreparedCorpus, tiny_checkpoint_dir: Path, run_dir: Path
) -> None:
    model = ModelConfig(base=str(tiny_checkpoint_dir), freeze_encoder=True)
    try:
        train(model, changed(tiny_run, learning_rate=1e-6), corpus, run_dir, seed=1)
    except QualityError:
        pass
    before = json.loads((tiny_checkpoint_dir / "generation_config.json").read_text())
    after = json.loads((run_dir / "final" / "generation_config.json").read_text())
    for key in ("alignment_heads", "lang_to_id", "no_timestamps_token_id", "suppress_tokens"):
        assert after[key] == before[key]
    assert json.loads((run_dir / "baseline.json").read_text())["step"] == 0
    told = json.loads((run_dir / "final" / "training.json").read_text())["base_model"]
    assert told == tiny_checkpoint_dir.name, "its path says nothing to others"


@pytest.mark.slow
def test_adapters_are_merged_into_a_plain_model(
    tiny_run: TrainConfig, corpus: PreparedCorpus, tiny_checkpoint_dir: Path, run_dir: Path
) -> None:
    model = ModelConfig(base=str(tiny_checkpoint_dir), lora=LoraConfig(rank=2, alpha=4))
    try:
        train(model, changed(tiny_run, learning_rate=1e-2), corpus, run_dir, seed=1)
    except QualityError:
        pass
    start = WhisperForConditionalGeneration.from_pretrained(tiny_checkpoint_dir).state_dict()
    final = WhisperForConditionalGeneration.from_pretrained(run_dir / "final").state_dict()
    differ = {name for name in start if not torch.equal(start[name], final[name])}
    assert differ and all(".q_proj." in name or ".v_proj." in name for name in differ)


def test_adapters_for_modules_that_are_not_there_are_refused(
    tiny_run: TrainConfig, corpus: PreparedCorpus, tiny_checkpoint_dir: Path, run_dir: Path
) -> None:
    lora = LoraConfig(target_modules=("q_prj",))
    model = ModelConfig(base=str(tiny_checkpoint_dir), lora=lora)
    with pytest.raises(ConfigError, match="target_modules: Whisper has no such modules"):
        train(model, tiny_run, corpus, run_dir, seed=1)


@pytest.mark.parametrize("full_context_share", [0.3, 1.0])
def test_start_is_measured_padded_and_the_result_as_it_is_trained(
    full_context_share: float,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    tiny_checkpoint_dir: Path,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stock Whisper cannot read short context: against that, any result would look good."""
    measured: list[tuple[int, bool]] = []

    def noting(*args: Any) -> DevResult:
        *_, full, step = args
        measured.append((step, full))
        return evaluate_dev(*args)

    monkeypatch.setattr(callbacks, "evaluate_dev", noting)
    config = changed(
        tiny_run,
        max_steps=1,
        decay_steps=0,
        learning_rate=1e-9,
        mix={"full_context_share": full_context_share},
        final_mix=None,
    )
    assert train(ModelConfig(base=str(tiny_checkpoint_dir)), config, corpus, run_dir, seed=1)
    assert measured == [(0, True), (1, full_context_share == 1.0)]


@pytest.mark.slow
def test_result_worse_than_its_start_is_an_error(
    tiny_run: TrainConfig, corpus: PreparedCorpus, tiny_checkpoint_dir: Path, run_dir: Path
) -> None:
    run_dir.mkdir()
    (run_dir / "baseline.json").write_text('{"wer": -1.0}')
    for _ in range(2):  # a finished run is not trained again, and still no success
        with pytest.raises(QualityError, match="after training"):
            train(ModelConfig(base=str(tiny_checkpoint_dir)), tiny_run, corpus, run_dir, seed=1)
    assert (run_dir / "final" / "model.safetensors").is_file()


def test_base_that_could_never_be_converted_is_refused_before_training(
    tiny_run: TrainConfig, corpus: PreparedCorpus, base: Path, run_dir: Path
) -> None:
    facts = json.loads((base / "generation_config.json").read_text())
    del facts["alignment_heads"]
    (base / "generation_config.json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match="model.base: .*alignment heads.*openai's model"):
        train(ModelConfig(base=str(base)), tiny_run, corpus, run_dir, seed=1)
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="model.base: no Whisper checkpoint at"):
        train(ModelConfig(base=str(base)), tiny_run, corpus, run_dir, seed=1)
    (base / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="model.base: no Whisper checkpoint at"):
        train(ModelConfig(base=str(base)), tiny_run, corpus, run_dir, seed=1)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
def test_adapter_in_the_place_of_a_base_is_refused_before_training(
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    tiny_checkpoint_dir: Path,
    tmp_path: Path,
    run_dir: Path,
) -> None:
    base = tmp_path / "base"
    whisper = WhisperForConditionalGeneration.from_pretrained(tiny_checkpoint_dir)
    adapted = get_peft_model(whisper, PeftLoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_checkpoint_dir / name, base)
    with pytest.raises(ConfigError, match="model.base: .*/base holds an adapter; merge it"):
        train(ModelConfig(base=str(base)), tiny_run, corpus, run_dir, seed=1)


@pytest.mark.slow
def test_weights_that_are_no_numbers_any_more_end_the_run_and_replace_no_checkpoint(
    tiny_run: TrainConfig, corpus: PreparedCorpus, base: Path, run_dir: Path
) -> None:
    weights = load_file(base / "model.safetensors")
    weights["model.encoder.conv1.weight"].fill_(torch.nan)
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(QualityError, match="no numbers any more at step 4: lower"):
        train(ModelConfig(base=str(base)), tiny_run, corpus, run_dir, seed=1)
    assert not list((run_dir / "checkpoints").glob("checkpoint-*"))
    line = json.loads((run_dir / "log.jsonl").read_text().splitlines()[0])
    assert math.isnan(line["loss"])


def test_missing_base_model_is_named(
    tiny_run: TrainConfig, corpus: PreparedCorpus, tmp_path: Path, run_dir: Path
) -> None:
    model = ModelConfig(base=str(tmp_path / "nothing"), tokenizer=str(tmp_path / "nothing"))
    with pytest.raises(TokenizerError, match="no Whisper tokenizer at .*nothing"):
        train(model, tiny_run, corpus, run_dir, seed=1)
