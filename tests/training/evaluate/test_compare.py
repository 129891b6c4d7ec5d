import json
import logging
from pathlib import Path

import numpy as np
import pytest

from services.contract.errors import ConfigError
from tests.tiny_model import SENTENCE
from tests.training.small_corpus import write_corpus
from training.evaluate.bootstrap import difference_interval, rate_interval
from training.evaluate.compare import compare
from training.evaluate.config import EvaluateConfig
from training.evaluate.metrics import ErrorCounts
from training.time_limit import OutOfTimeError, TimeLimit

CONFIG = EvaluateConfig(
    splits=("test",), contexts=("full",), quantization="int8", long_form_minutes=0, device="cpu"
)


def _clips(error_rate: float, n_clips: int, seed: int) -> list[ErrorCounts]:
    wrong = np.random.default_rng(seed).binomial(10, error_rate, n_clips)
    return [ErrorCounts(hits=10 - int(n), substitutions=int(n)) for n in wrong]


def test_interval_holds_the_true_rate_about_as_often_as_it_says() -> None:
    intervals = [rate_interval(_clips(0.2, 100, seed)) for seed in range(60)]
    covered = sum(interval.low <= 0.2 <= interval.high for interval in intervals)
    assert covered >= 51


def test_same_clips_cancel_in_the_difference() -> None:
    baseline = _clips(0.2, 200, 0)
    assert difference_interval(baseline, baseline).high == 0
    better = [
        ErrorCounts(
            hits=c.hits + (i % 4 == 0), substitutions=max(0, c.substitutions - (i % 4 == 0))
        )
        for i, c in enumerate(baseline)
    ]
    difference = difference_interval(better, baseline)
    assert difference.low < difference.value < difference.high < 0
    assert difference.high - difference.low < 2 * rate_interval(baseline).value / 5


@pytest.mark.slow
def test_comparison_of_two_models_that_say_the_same(
    tmp_path: Path, tiny_bundle_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    corpus = write_corpus(
        tmp_path / "corpus", {"test": [(SENTENCE, 1.0, "a"), ("Hej då.", 2.0, "b")]}
    )
    models = [str(tiny_bundle_dir), str(tiny_checkpoint_dir)]
    first, second = compare(CONFIG, models, corpus, tmp_path / "out")
    assert first.wer.value == second.wer.value == pytest.approx(2 / 5)
    assert second.against_first.value == 0
    rows = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["model"] for row in rows] == models
    page = (tmp_path / "out" / "page.html").read_text()
    assert page.count("<svg") == 4
    assert len(list((tmp_path / "out").glob("*/report.json"))) == 2


@pytest.mark.slow
def test_comparison_goes_on_with_the_next_model(
    tmp_path: Path,
    tiny_bundle_dir: Path,
    tiny_checkpoint_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"test": [(SENTENCE, 1.0, "")]})
    models = [str(tiny_bundle_dir), str(tiny_checkpoint_dir)]
    caplog.set_level(logging.INFO)
    with pytest.raises(OutOfTimeError):
        compare(CONFIG, models, corpus, tmp_path / "out", TimeLimit(0))
    assert len(compare(CONFIG, models, corpus, tmp_path / "out")) == 2
    assert caplog.text.count("already evaluated") == 1


def test_one_model_is_no_comparison(tmp_path: Path, tiny_bundle_dir: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"test": [(SENTENCE, 1.0, "")]})
    with pytest.raises(ConfigError, match="two or more different"):
        compare(CONFIG, [str(tiny_bundle_dir)] * 2, corpus, tmp_path / "out")
