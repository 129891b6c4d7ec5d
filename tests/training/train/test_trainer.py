"""What of transformers' trainer is kept from happening."""

from pathlib import Path

import pytest
from transformers import Seq2SeqTrainingArguments

from training.train.trainer import on_one_gpu


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
