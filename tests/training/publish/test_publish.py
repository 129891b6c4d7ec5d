import json
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
import yaml
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from services.contract.errors import PublishError
from services.contract.model_bundle import verify
from tests.tiny_model import SENTENCE, tiny_checkpoint
from tests.training.publish.hub_stand_in import HubStandIn
from tests.training.small_corpus import write_corpus
from training.convert.config import ConvertConfig
from training.convert.run import convert
from training.evaluate.config import EvaluateConfig
from training.evaluate.report import EvaluationReport
from training.evaluate.run import evaluate
from training.publish.config import PublishConfig
from training.publish.run import publish
from training.publish.stage import merge_configs

# From within huggingface_hub's plain HTTP upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
DRY = PublishConfig(repo_id="me/kb", dry_run=True)
NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, EvaluationReport]:
    """A checkpoint, its bundle and its report."""
    root = tmp_path_factory.mktemp("trained")
    checkpoint = tiny_checkpoint(root / "final")
    corpus = write_corpus(root / "corpus", {"test": [(SENTENCE, 1.0, ""), ("Nej.", 1.0, "")]})
    options = EvaluateConfig(
        splits=("test",), quantization="int8", long_form_minutes=0, device="cpu"
    )
    report = evaluate(options, str(checkpoint), corpus, root / "report")
    config = ConvertConfig(name="kb", version="1", quantization="int8", parity_split="test")
    return checkpoint, convert(config, checkpoint, corpus, root / "bundle", report), report


@pytest.fixture(scope="module")
def staged(
    trained: tuple[Path, Path, EvaluationReport], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A staged folder, made without token and network."""
    checkpoint, bundle_dir, report = trained
    stage_dir = tmp_path_factory.mktemp("staged") / "stage"
    config = PublishConfig(repo_id="me/kb", dry_run=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HF_TOKEN", "")
        assert publish(config, bundle_dir, checkpoint, report, stage_dir) == str(stage_dir)
    return stage_dir


def test_staged_folder_loads_in_transformers(staged: Path) -> None:
    model = WhisperForConditionalGeneration.from_pretrained(staged)
    processor = WhisperProcessor.from_pretrained(staged)
    features = processor(NOISE, sampling_rate=16_000, return_tensors="pt").input_features
    (text,) = processor.batch_decode(model.generate(features), skip_special_tokens=True)
    assert text.strip() == SENTENCE


def test_staged_folder_loads_in_faster_whisper_and_is_a_bundle(staged: Path) -> None:
    fast = faster_whisper.WhisperModel(str(staged), device="cpu", local_files_only=True)
    segments, _ = fast.transcribe(NOISE)
    assert [segment.text.strip() for segment in segments] == [SENTENCE]
    assert verify(staged).id == "kb@1"


def test_card_has_raw_and_normalised_results_that_the_hub_can_parse(staged: Path) -> None:
    _, metadata, body = (staged / "README.md").read_text().split("---\n", 2)
    content = yaml.safe_load(metadata)
    assert content["language"] == ["sv"]
    assert "base_model" not in content, "random weights have no base model"
    (result,) = content["model-index"][0]["results"]
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values["WER"] == values["WER (normalised)"] == pytest.approx(75.0)
    assert "| test | 2 |" in body
    assert (staged / "evaluation" / "report.json").is_file()


@pytest.mark.parametrize(
    ("max_clips", "told"),
    [
        (None, "Both are\nover the whole test set, decoded"),
        (100, "Both are\nover the whole test set, decoded"),
        (2, "Both are\nover at most 2 clips drawn from each test set, decoded"),
    ],
)
def test_card_says_when_only_a_part_of_the_test_set_was_decoded(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path, max_clips: int | None, told: str
) -> None:
    """The report counts two clips: with a limit of two they are a part, for all it says."""
    checkpoint, bundle_dir, report = trained
    limited = report.config.model_copy(update={"max_clips": max_clips})
    report = report.model_copy(update={"config": limited})
    publish(DRY, bundle_dir, checkpoint, report, tmp_path / "stage")
    assert told in (tmp_path / "stage" / "README.md").read_text()


def test_paths_of_this_machine_are_not_published(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    checkpoint, bundle_dir, report = trained
    timed = report.config.model_copy(update={"word_times": Path("/home/anna/word_times.jsonl")})
    report = report.model_copy(update={"config": timed})
    publish(DRY, bundle_dir, checkpoint, report, tmp_path / "stage")
    for path in (tmp_path / "stage").rglob("*"):
        if path.suffix in (".json", ".md", ".html"):
            text = path.read_text()
            assert str(checkpoint) not in text and "/home/anna" not in text, path
    assert "kb@1" in (tmp_path / "stage" / "evaluation" / "page.html").read_text()


def test_union_keeps_both_meanings(staged: Path) -> None:
    union = json.loads((staged / "config.json").read_text())
    assert union["model_type"] == "whisper"
    assert len(union["lang_ids"]) == 99


def test_model_and_checkpoints_arrive_whole(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path, hub: HubStandIn
) -> None:
    checkpoint, bundle_dir, report = trained
    step = tmp_path / "step-500"
    step.mkdir()
    (step / "optimizer.pt").write_bytes(b"moments")
    config = PublishConfig(
        repo_id="me/kb", private=True, checkpoints=(step,), endpoint=hub.url, first_wait_s=0
    )
    stage_dir = tmp_path / "stage"
    assert publish(config, bundle_dir, checkpoint, report, stage_dir).endswith("/me/kb")
    assert hub.created[0]["visibility"] == "private"
    assert hub.files.pop("checkpoints/step-500/optimizer.pt") == b"moments"
    paths = {p for p in stage_dir.rglob("*") if p.is_file() and ".cache" not in p.parts}
    assert hub.files == {str(p.relative_to(stage_dir)): p.read_bytes() for p in paths}


def test_missing_checkpoint_stops_before_anything_is_done(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    checkpoint, bundle_dir, report = trained
    config = PublishConfig(repo_id="me/kb", checkpoints=(tmp_path / "none",))
    with pytest.raises(PublishError, match="is not a directory"):
        publish(config, bundle_dir, checkpoint, report, tmp_path / "stage")
    assert not (tmp_path / "stage").exists()


def test_folder_that_was_not_staged_is_left_alone(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    checkpoint, bundle_dir, report = trained
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(PublishError, match="holds something else"):
        publish(DRY, bundle_dir, checkpoint, report, tmp_path)
    assert (tmp_path / "thesis.txt").is_file()


def test_report_of_another_model_is_refused(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    checkpoint, bundle_dir, report = trained
    other = report.model_copy(update={"model_sha256": "0" * 64})
    with pytest.raises(PublishError, match="the report is about"):
        publish(DRY, bundle_dir, checkpoint, other, tmp_path / "stage")


def test_report_that_the_bundle_does_not_cite_is_refused(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    checkpoint, bundle_dir, report = trained
    (full, short) = report.results
    other = report.model_copy(
        update={"results": (full.model_copy(update={"split": "dev"}), full, short)}
    )
    with pytest.raises(PublishError, match="cites other results: run `convert` again"):
        publish(DRY, bundle_dir, checkpoint, other, tmp_path / "stage")
    assert not (tmp_path / "stage").exists()


def test_clashing_configs_are_refused() -> None:
    assert merge_configs({"a": 1}, {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(PublishError, match="disagree on a"):
        merge_configs({"a": 1}, {"a": 2})


def test_staging_that_was_broken_off_is_begun_anew(
    trained: tuple[Path, Path, EvaluationReport], tmp_path: Path
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    checkpoint, bundle_dir, report = trained
    stage_dir = tmp_path / "stage"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("training.publish.stage.merge_configs", stopped)
        with pytest.raises(KeyboardInterrupt):
            publish(DRY, bundle_dir, checkpoint, report, stage_dir)
    publish(DRY, bundle_dir, checkpoint, report, stage_dir)
    assert verify(stage_dir).id == "kb@1"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
