import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faster_whisper
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from services.contract.errors import (
    CheckpointError,
    ConfigError,
    ModelBundleError,
    SttError,
    TokenizerError,
)
from services.contract.model_bundle import read, verify
from tests.tiny_model import ALIGNMENT_HEADS, SENTENCE
from tests.training.small_corpus import write_corpus
from training.convert import run
from training.convert.bundle_checks import check_converted
from training.convert.config import ConvertConfig
from training.convert.parity import check_parity, synthetic_recordings
from training.convert.run import convert
from training.convert.weights import write_weights
from training.evaluate.config import EvaluateConfig
from training.evaluate.run import evaluate

CONFIG = ConvertConfig(name="kb", version="1", quantization="int8")


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_checkpoint_dir: Path) -> Path:
    """A copy that a test may damage; the weights are linked."""
    copy = tmp_path / "checkpoint"
    copy.mkdir()
    for file in tiny_checkpoint_dir.iterdir():
        (copy / file.name).hardlink_to(file)
    return copy


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.unlink()
    path.write_text(json.dumps(content))


def test_bundle_loads_in_plain_faster_whisper(tiny_bundle_dir: Path) -> None:
    model = faster_whisper.WhisperModel(str(tiny_bundle_dir), device="cpu", local_files_only=True)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    segments, info = model.transcribe(noise, beam_size=2, word_timestamps=True)
    (segment,) = list(segments)
    assert (info.language, segment.text) == ("sv", f" {SENTENCE}")
    assert [word.word for word in segment.words or ()] == [" Hej", " och", " välkommen."]


def test_bundle_keeps_what_conversion_loses_silently(tiny_bundle_dir: Path) -> None:
    config = json.loads((tiny_bundle_dir / "config.json").read_text())
    assert len(config["lang_ids"]) == 99
    assert config["alignment_heads"] == ALIGNMENT_HEADS
    assert verify(tiny_bundle_dir).languages == ("sv",)
    assert "\n" not in (tiny_bundle_dir / "tokenizer.json").read_text()


@pytest.mark.parametrize(
    ("file", "change", "error", "message"),
    [
        ("generation_config.json", lambda c: c.pop("alignment_heads"), CheckpointError, "heads"),
        (
            "generation_config.json",
            lambda c: c.update(alignment_heads=[[7, 0]]),
            CheckpointError,
            "another size",
        ),
        (
            "generation_config.json",
            lambda c: c.update(alignment_heads=[[0], [1]]),
            CheckpointError,
            "pairs of layer and head",
        ),
        (
            "generation_config.json",
            lambda c: c["lang_to_id"].popitem(),
            CheckpointError,
            "98 in lang_to_id instead of 99",
        ),
        (
            "generation_config.json",
            lambda c: c.pop("suppress_tokens"),
            CheckpointError,
            "suppress_tokens missing",
        ),
        ("config.json", lambda c: c.update(vocab_size=51864), CheckpointError, "multilingual"),
        ("config.json", lambda c: c.update(model_type="bart"), CheckpointError, "not whisper"),
        (
            "preprocessor_config.json",
            lambda c: c.update(feature_size=128),
            CheckpointError,
            "mel bands",
        ),
        (
            "generation_config.json",
            lambda c: c["lang_to_id"].update({"<|sv|>": 50260}),
            TokenizerError,
            "another model",
        ),
    ],
)
def test_checkpoint_that_would_serve_badly_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    file: str,
    change: Callable[[dict[str, Any]], object],
    error: type[SttError],
    message: str,
) -> None:
    _edit(checkpoint / file, change)
    with pytest.raises(error, match=message):
        convert(CONFIG, checkpoint, None, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_missing_file_is_named(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match="lacks preprocessor_config.json"):
        convert(CONFIG, checkpoint, None, tmp_path / "bundle")


def test_unknown_language_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"languages": ("sv", "xx")})
    with pytest.raises(ConfigError, match="no language 'xx'"):
        convert(config, checkpoint, None, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(lang_ids=[]), "languages: 0 ids"),
        (lambda c: c.update(alignment_heads=[[1, 0]]), "alignment heads"),
        (lambda c: c.update(suppress_ids=[]), "suppressed tokens"),
    ],
)
def test_conversion_that_loses_facts_is_found(
    checkpoint: Path,
    tmp_path: Path,
    tiny_bundle_dir: Path,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    converted = tmp_path / "converted"
    shutil.copytree(tiny_bundle_dir, converted)
    check_converted(converted, checkpoint)
    _edit(converted / "config.json", change)
    with pytest.raises(ModelBundleError, match=message):
        check_converted(converted, checkpoint)


def test_english_vocabulary_is_found(
    checkpoint: Path, tmp_path: Path, tiny_bundle_dir: Path
) -> None:
    converted = tmp_path / "converted"
    shutil.copytree(tiny_bundle_dir, converted)
    vocabulary = json.loads((converted / "vocabulary.json").read_text())
    vocabulary[50256] = "x"
    (converted / "vocabulary.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ModelBundleError, match="multilingual"):
        check_converted(converted, checkpoint)


@pytest.mark.slow
def test_failed_check_leaves_the_old_bundle(
    checkpoint: Path, tmp_path: Path, tiny_bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(source: Path, target: Path, quantization: str) -> None:
        write_weights(source, target, quantization)  # type: ignore[arg-type]
        _edit(target / "config.json", lambda c: c.update(lang_ids=[]))

    out_dir = tmp_path / "bundle"
    shutil.copytree(tiny_bundle_dir, out_dir)
    monkeypatch.setattr(run, "write_weights", lossy)
    with pytest.raises(ModelBundleError, match="languages"):
        convert(CONFIG, checkpoint, None, out_dir)
    assert verify(out_dir).id == "tiny@1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "checkpoint"]


@pytest.mark.slow
def test_bundle_is_replaced_by_a_better_one(
    checkpoint: Path, tmp_path: Path, tiny_bundle_dir: Path
) -> None:
    out_dir = tmp_path / "bundle"
    shutil.copytree(tiny_bundle_dir, out_dir)
    assert verify(convert(CONFIG, checkpoint, None, out_dir)).id == "kb@1"


@pytest.mark.slow
def test_conversion_of_other_weights_fails_parity(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_checkpoint_dir: Path
) -> None:
    def swapped(source: Path, target: Path, quantization: str) -> None:
        write_weights(other_checkpoint_dir, target, quantization)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "write_weights", swapped)
    with pytest.raises(ModelBundleError, match="encoder: output differs"):
        convert(CONFIG, checkpoint, None, tmp_path / "bundle")


def test_equal_scores_are_no_difference_and_other_scores_are(
    tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    """Equal rows are what a compact vocabulary leaves for all tokens that it did not train."""
    folders = {"tied": torch.randn(1, 64), "untied": torch.randn(50257, 64)}
    for name, rows in folders.items():
        shutil.copytree(tiny_checkpoint_dir, tmp_path / name)
        weights = load_file(tmp_path / name / "model.safetensors")
        weights["model.decoder.embed_tokens.weight"][:50257] = rows
        save_file(weights, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    write_weights(tmp_path / "tied", tmp_path / "converted", "float32")
    noise = synthetic_recordings()[:1]
    check_parity(tmp_path / "tied", tmp_path / "converted", noise, "sv")
    with pytest.raises(ModelBundleError, match="tokens: only"):
        check_parity(tmp_path / "untied", tmp_path / "converted", noise, "sv")


@pytest.mark.slow
def test_manifest_says_what_windows_the_model_was_trained_on(
    checkpoint: Path, tmp_path: Path
) -> None:
    plain = read(convert(CONFIG, checkpoint, None, tmp_path / "plain", None))
    assert (plain.window_s, plain.window_shape.packs_speech) == (30, True)
    sentences = CONFIG.model_copy(update={"window_s": 10, "packs_speech": False})
    bundle = read(convert(sentences, checkpoint, None, tmp_path / "sentences", None))
    assert (bundle.window_s, bundle.window_shape.packs_speech) == (10, False)


@pytest.mark.slow
def test_manifest_carries_results_and_short_context_only_with_proof(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _edit(checkpoint / "training.json", lambda c: c.update(short_context=True))
    corpus = write_corpus(tmp_path / "corpus", {"dev": [(SENTENCE, 2.0, ""), ("Nej.", 1.0, "")]})
    options = EvaluateConfig(
        splits=("dev",), quantization="int8", long_form_minutes=0, device="cpu"
    )
    report = evaluate(options, str(checkpoint), corpus, tmp_path / "report")
    assert not read(convert(CONFIG, checkpoint, corpus, tmp_path / "few", report)).short_context
    assert "short context is not allowed" in caplog.text and "2 clips with 4 words" in caplog.text
    monkeypatch.setattr("training.evaluate.report.SHORT_CONTEXT_MIN_CLIPS", 2)
    monkeypatch.setattr("training.evaluate.report.SHORT_CONTEXT_MIN_WORDS", 4)
    bundle = read(convert(CONFIG, checkpoint, corpus, tmp_path / "bundle", report))
    assert bundle.short_context
    assert bundle.manifest is not None
    (evaluation,) = bundle.manifest.evaluations
    assert evaluation.test_set_sha256 == corpus.manifest.splits["dev"].sha256
    assert evaluation.wer_normalised == pytest.approx(3 / 4)
    with pytest.raises(ConfigError, match="run `evaluate` again"):
        other = CONFIG.model_copy(update={"quantization": "float16"})
        convert(other, checkpoint, corpus, tmp_path / "other", report)
    with pytest.raises(ConfigError, match="evaluate this checkpoint"):
        about_another = report.model_copy(update={"model_sha256": "0" * 64})
        convert(CONFIG, checkpoint, corpus, tmp_path / "other", about_another)


def test_target_that_is_no_bundle_is_never_replaced(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelBundleError, match="is not a bundle"):
        convert(CONFIG, checkpoint, None, tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"
