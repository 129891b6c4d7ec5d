"""Builds the folder that is published: one root that transformers and faster-whisper both load.

Their files do not clash but for config.json, which becomes the union of both. The manifest is
written anew over the files as they are published, so the repository is a bundle too and can be
deployed by its hub id.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from services.contract.errors import ModelBundleError, PublishError
from services.contract.model_bundle import (
    MANIFEST_FILE,
    SERVED_FILES,
    BundleManifest,
    hash_files,
    verify,
    write_manifest,
)
from training.convert.checkpoint import check_checkpoint, read_json
from training.convert.results import cited
from training.evaluate.models import weights_sha256
from training.evaluate.page import write_page
from training.evaluate.report import EvaluationReport, write_report
from training.publish.card import model_card
from training.publish.config import PublishConfig
from training.scratch import scratch_folder

_TRANSFORMERS_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
)


def stage(
    config: PublishConfig,
    bundle_dir: Path,
    checkpoint: Path,
    report: EvaluationReport | None,
    stage_dir: Path,
) -> Path:
    """Lay out everything that goes to the hub.

    Args:
        config: for the model card.
        bundle_dir: the bundle made from `checkpoint`.
        checkpoint: transformers folder.
        report: its evaluation, for the card and as files.
        stage_dir: replaced, when all is done, if it was staged before.
    Returns:
        stage_dir.
    Raises:
        CheckpointError, ModelBundleError: one of the two is damaged.
        PublishError: the folder cannot be written, or the report is about another model or not
            the one that the bundle cites.
    """
    check_checkpoint(checkpoint)
    manifest = verify(bundle_dir).manifest
    if manifest is None:
        raise ModelBundleError(f"{bundle_dir} has no {MANIFEST_FILE}; publish a converted bundle")
    if report is not None and report.model_sha256 != weights_sha256(checkpoint):
        raise PublishError(f"the report is about {report.model}, not about {checkpoint}")
    if report is not None and manifest.evaluations != cited(report):
        raise PublishError(
            "the report was made after the bundle, which cites other results: run `convert` again"
        )
    try:
        _check_target(stage_dir)
        stage_dir.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(stage_dir.parent, ".staging-") as scratch:
            staging = scratch / "stage"
            _lay_out(bundle_dir, checkpoint, staging)
            manifest = _write_manifest(manifest, staging)
            if report is not None:
                _add_report(_public(report, manifest), staging / "evaluation")
            card = model_card(config, manifest, report)
            (staging / "README.md").write_text(card, encoding="utf-8")
            verify(staging)
            if stage_dir.exists():
                stage_dir.rename(scratch / "replaced")
            staging.rename(stage_dir)
    except OSError as error:
        raise PublishError(f"cannot write {stage_dir}: {error.strerror}") from error
    return stage_dir


def _check_target(stage_dir: Path) -> None:
    is_staged = (stage_dir / MANIFEST_FILE).is_file()
    if stage_dir.exists() and any(stage_dir.iterdir()) and not is_staged:
        raise PublishError(f"{stage_dir} holds something else; choose another folder")


def _lay_out(bundle_dir: Path, checkpoint: Path, stage_dir: Path) -> None:
    """Link or copy the files of both; where both have one, the bundle's is the compact one."""
    stage_dir.mkdir()
    for pattern in _TRANSFORMERS_FILES:
        for file in checkpoint.glob(pattern):
            _link(file, stage_dir / file.name)
    for name in SERVED_FILES:
        if (bundle_dir / name).is_file():
            _link(bundle_dir / name, stage_dir / name)
    union = merge_configs(
        read_json(checkpoint / "config.json"), read_json(bundle_dir / "config.json")
    )
    (stage_dir / "config.json").unlink()
    text = json.dumps(union, indent=2, sort_keys=True, ensure_ascii=False)
    (stage_dir / "config.json").write_text(text + "\n", encoding="utf-8")


def merge_configs(transformers: dict[str, Any], ctranslate2: dict[str, Any]) -> dict[str, Any]:
    """Join the two meanings of config.json.

    Raises:
        PublishError: a key is in both with different values.
    """
    clashes = [
        key for key in transformers.keys() & ctranslate2 if transformers[key] != ctranslate2[key]
    ]
    if clashes:
        raise PublishError(f"config.json of the two formats disagree on {', '.join(clashes)}")
    return transformers | ctranslate2


def _write_manifest(manifest: BundleManifest, stage_dir: Path) -> BundleManifest:
    names = [name for name in SERVED_FILES if (stage_dir / name).is_file()]
    staged = manifest.model_copy(update={"files": hash_files(stage_dir, names)})
    write_manifest(stage_dir, staged)
    return staged


def _public(report: EvaluationReport, manifest: BundleManifest) -> EvaluationReport:
    """Leave out the paths of this machine, which may hold the name of a user."""
    times = report.config.word_times
    config = report.config.model_copy(update={"word_times": times and Path(times.name)})
    model = f"{manifest.name}@{manifest.version}"
    return report.model_copy(update={"model": model, "config": config})


def _add_report(report: EvaluationReport, folder: Path) -> None:
    folder.mkdir()
    write_report(report, folder)
    write_page(report, folder / "page.html")


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(source, target)
