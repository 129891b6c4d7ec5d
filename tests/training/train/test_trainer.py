"""What of transformers' trainer is kept from happening."""

from pathlib import Path

import pytest
from transformers import Seq2SeqTrainingArguments

from training.prepare.parallel import n_cores
from training.prepare.shards import PreparedCorpus
from training.train.config import ModelConfig, TrainConfig
from training.train.setup import prepare_setup
from training.train.trainer import WhisperTrainer, on_one_gpu


def test_batch_is_not_cut_over_several_gpus(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert arguments.n_gpu <= 1
    assert on_one_gpu(arguments).n_gpu == arguments.n_gpu
    assert not caplog.text
    arguments._n_gpu = 4
    assert on_one_gpu(arguments).n_gpu == 1
    assert "torchrun --nproc-per-node 4" in caplog.text


def test_data_workers_are_no_more_than_the_cores(
    tiny_model: ModelConfig, tiny_run: TrainConfig, corpus: PreparedCorpus, tmp_path: Path
) -> None:
    many = tiny_run.model_copy(update={"data_workers": 999})
    setup = prepare_setup(tiny_model, many, corpus, seed=1)
    trainer = WhisperTrainer(setup.trainee, setup.dataset, many, tmp_path, 1)
    assert trainer.get_train_dataloader().num_workers == n_cores() < 999
