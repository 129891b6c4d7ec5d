"""What of transformers' trainer is kept from happening."""

from pathlib import Path

import pytest
from transformers import Seq2SeqTrainingArguments

from training.prepare.shards import PreparedCorpus
from training.train import trainer as trainer_module
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


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("on_cpu", "wanted", "expected"),
    [(True, 999, 16), (True, None, 0), (False, None, 8), (False, 0, 0)],
)
def test_data_workers_are_as_many_as_wanted_or_useful_and_no_more_than_the_cores(
    tiny_model: ModelConfig,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_cpu: bool,
    wanted: int | None,
    expected: int,
) -> None:
    config = tiny_run.model_copy(update={"data_workers": wanted})
    setup = prepare_setup(tiny_model, config, corpus, seed=1)
    trainer = WhisperTrainer(setup.trainee, setup.dataset, config, tmp_path, 1)
    monkeypatch.setattr(trainer_module, "runs_on_cpu", lambda config: on_cpu)
    monkeypatch.setattr(trainer_module, "n_cores", lambda: 16)
    assert trainer.get_train_dataloader().num_workers == expected
