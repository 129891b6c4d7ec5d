"""A corpus of a few short clips and a model of a few thousand weights."""

from pathlib import Path

import pytest

from services.contract.model_sources import demo_directory
from tests.training.small_corpus import write_corpus
from training.prepare.shards import PreparedCorpus
from training.tokenizer import load_tokenizer
from training.train.config import LabelConfig, MixConfig, ModelConfig, ScratchConfig, TrainConfig
from training.train.labels import LabelWriter, SpecialTokens

SENTENCES = ("Hej på dig.", "Noll åtta.", "Vädret är vackert i dag.", "Tåget går klockan tre.")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """Twelve clips to train on, four to evaluate on; their sound is noise."""
    clips = [(SENTENCES[i % 4], 0.5 + 0.1 * (i % 5), "talk") for i in range(12)]
    folder = tmp_path_factory.mktemp("train") / "prepared"
    return write_corpus(folder, {"train": clips, "dev": clips[:4]})


@pytest.fixture(scope="session")
def writer() -> LabelWriter:
    """Writes labels with short tokens, every second one with timestamps."""
    tokenizer = load_tokenizer(str(demo_directory()))
    config = LabelConfig(segmentation="short", timestamps_share=0.5)
    return LabelWriter(tokenizer, SpecialTokens.of(tokenizer, "sv", "transcribe"), config)


@pytest.fixture(scope="session")
def tiny_model() -> ModelConfig:
    """From random weights, with every part that training adds."""
    return ModelConfig(
        scratch=ScratchConfig(d_model=16, encoder_layers=1, decoder_layers=1, attention_heads=2),
        tokenizer=str(demo_directory()),
        attention="eager",
        dropout=0.1,
        ctc_weight=0.3,
        guide_weight=0.5,
        compact_vocabulary=True,
    )


@pytest.fixture(scope="session")
def tiny_run() -> TrainConfig:
    """Eight steps with a checkpoint in the middle, all kinds of windows and labels."""
    return TrainConfig(
        max_steps=8,
        warmup_steps=2,
        decay_steps=4,
        learning_rate=1e-3,
        batch_size=3,
        joined_batch_size=2,
        mix=MixConfig(joined_share=0.3, joined_max_s=3.0, joined_min_s=1.0),
        final_mix=MixConfig(
            joined_share=0.3, joined_min_s=1, joined_max_s=2, served_context_share=1
        ),
        labels=LabelConfig(
            segmentation="short", timestamps_share=0.5, prompt_share=0.3, no_speech_share=0.1
        ),
        save_every_steps=4,
        evaluate_every_steps=4,
        log_every_steps=1,
        dev_clips=2,
        device="cpu",
    )


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Where a run goes."""
    return tmp_path / "run"
