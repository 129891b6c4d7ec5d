"""From a checkpoint to a model bundle: check, convert, prove parity, describe, seal.

Everything happens in a directory beside the target, which appears under its name only when every
check has passed.
"""

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.contract.errors import ConfigError, ModelBundleError
from services.contract.model_bundle import (
    MANIFEST_FILE,
    SERVED_FILES,
    BundleManifest,
    hash_files,
    seal,
    verify,
    write_manifest,
)
from training.convert.bundle_checks import check_converted
from training.convert.checkpoint import TrainingFacts, check_checkpoint, read_facts, read_json
from training.convert.config import ConvertConfig
from training.convert.parity import check_parity, synthetic_recordings
from training.convert.quantization import check_quantization
from training.convert.results import Results, results_of
from training.convert.weights import write_weights
from training.evaluate.report import EvaluationReport
from training.evaluate.selection import select_clips
from training.prepare.shards import PreparedCorpus
from training.scratch import scratch_folder

logger = logging.getLogger(__name__)


def convert(
    config: ConvertConfig,
    checkpoint: Path,
    corpus: PreparedCorpus | None,
    out_dir: Path,
    report: EvaluationReport | None = None,
) -> Path:
    """Make a verified bundle from a transformers checkpoint.

    Args:
        config: name, quantization, what the bundle answers for.
        checkpoint: transformers folder, as training leaves it.
        corpus: prepared clips for the parity checks; without it seeded noise is used.
        out_dir: the bundle's directory; an earlier bundle there is replaced.
        report: the evaluation of this checkpoint; without it the manifest has no results and
            short context is not allowed.
    Returns:
        out_dir.
    Raises:
        CheckpointError, TokenizerError: the checkpoint is not fit to be converted.
        ConfigError: the report is of another checkpoint or quantization.
        ModelBundleError: a check of the converted model failed; out_dir is as it was before.
    """
    _check_target(out_dir)
    check_checkpoint(checkpoint)
    facts = read_facts(checkpoint)
    results = results_of(report, checkpoint, config)
    languages = _languages(config, facts, checkpoint)
    language = (*languages, "sv")[0]
    recordings = _recordings(config, corpus)
    with _staging(out_dir) as staging:
        float32_dir, bundle_dir = staging / "float32", staging / "bundle"
        write_weights(checkpoint, float32_dir, "float32")
        check_parity(checkpoint, float32_dir, recordings, language)
        write_weights(checkpoint, bundle_dir, config.quantization)
        check_converted(bundle_dir, checkpoint)
        if corpus is not None:
            check_quantization(config, language, float32_dir, bundle_dir, corpus)
        manifest = _manifest(config, facts, languages, checkpoint, bundle_dir, results)
        write_manifest(bundle_dir, manifest)
        verify(bundle_dir)
        _say_why_padded(facts, manifest, report)
        _replace(bundle_dir, out_dir, staging / "replaced")
    logger.info("bundle %s@%s written to %s", manifest.name, manifest.version, out_dir)
    return out_dir


def _languages(config: ConvertConfig, facts: TrainingFacts, checkpoint: Path) -> tuple[str, ...]:
    languages = facts.languages if config.languages is None else config.languages
    known = read_json(checkpoint / "generation_config.json")["lang_to_id"]
    for language in languages:
        if f"<|{language}|>" not in known:
            raise ConfigError(f"convert.languages: Whisper has no language {language!r}")
    return languages


def _recordings(config: ConvertConfig, corpus: PreparedCorpus | None) -> list[NDArray[np.float32]]:
    if corpus is None:
        return synthetic_recordings()
    clips = select_clips(corpus, config.parity_split, config.parity_clips)
    return [corpus.samples(clip) for clip in clips]


def _manifest(
    config: ConvertConfig,
    facts: TrainingFacts,
    languages: tuple[str, ...],
    checkpoint: Path,
    bundle_dir: Path,
    results: Results,
) -> BundleManifest:
    made_at = datetime.now(UTC)
    names = [name for name in SERVED_FILES if (bundle_dir / name).is_file()]
    return BundleManifest(
        name=config.name,
        version=config.version or made_at.strftime("%Y%m%dT%H%M%SZ"),
        base_model=facts.base_model or "scratch",
        languages=languages,
        tasks=config.tasks_or(facts.tasks),
        files=hash_files(bundle_dir, names),
        short_context=facts.short_context and results.proves_short_context,
        window_s=config.window_s,
        packs_speech=config.packs_speech,
        quantization=config.quantization,
        evaluations=results.evaluations,
        n_mels=read_json(checkpoint / "config.json")["num_mel_bins"],
        data_manifest_sha256=facts.prepared_manifest_sha256,
        git_revision=facts.git_revision,
        made_at=made_at,
        demo=config.demo,
    )


def _say_why_padded(
    facts: TrainingFacts, manifest: BundleManifest, report: EvaluationReport | None
) -> None:
    """Tell whoever trained for short context why the bundle is served without it."""
    if facts.short_context and not manifest.short_context:
        objection = (
            "there is no evaluation" if report is None else report.objection_to_short_context()
        )
        logger.warning("short context is not allowed, windows are padded to 30 s: %s", objection)


def _check_target(out_dir: Path) -> None:
    if out_dir.exists() and not (out_dir / MANIFEST_FILE).is_file():
        raise ModelBundleError(f"{out_dir} exists and is not a bundle; choose another place")


def _replace(bundle_dir: Path, out_dir: Path, aside: Path) -> None:
    if out_dir.exists():
        out_dir.rename(aside)
    seal(bundle_dir, out_dir)


@contextlib.contextmanager
def _staging(out_dir: Path) -> Iterator[Path]:
    """A directory on the disk of the target, so that the bundle can be renamed into place."""
    with contextlib.ExitStack() as stack:
        try:
            out_dir.parent.mkdir(parents=True, exist_ok=True)
            staging = stack.enter_context(scratch_folder(out_dir.parent, ".converting-"))
        except OSError as error:
            raise ModelBundleError(f"cannot write {out_dir.parent}: {error.strerror}") from error
        yield staging
