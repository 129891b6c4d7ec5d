"""Publishes a model: stage, then upload, then any checkpoints."""

import logging
from pathlib import Path

from services.contract.errors import PublishError
from training.evaluate.report import EvaluationReport
from training.publish.config import PublishConfig
from training.publish.stage import stage
from training.publish.upload import Hub

logger = logging.getLogger(__name__)


def publish(
    config: PublishConfig,
    bundle_dir: Path,
    checkpoint: Path,
    report: EvaluationReport | None,
    stage_dir: Path,
) -> str:
    """Bring a model to the hub.

    Args:
        config: repository, visibility, patience.
        bundle_dir: the converted bundle.
        checkpoint: the transformers folder that it was made from.
        report: its evaluation.
        stage_dir: where the published folder is laid out; kept, so that it can be looked at.
    Returns:
        address of the repository, or of the staged folder in a dry run.
    Raises:
        PublishError: no token, no network, no permission, or a missing checkpoint.
    """
    for folder in config.checkpoints:
        if not folder.is_dir():
            raise PublishError(f"publish.checkpoints: {folder} is not a directory")
    stage(config, bundle_dir, checkpoint, report, stage_dir)
    _log_files(stage_dir)
    if config.dry_run:
        return str(stage_dir)
    hub = Hub(config)
    url = hub.upload(stage_dir, "", "Publish model")
    for folder in config.checkpoints:
        hub.upload(folder, f"checkpoints/{folder.name}", f"Add checkpoint {folder.name}")
    return url


def _log_files(folder: Path) -> None:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        logger.info("staged %s, %d bytes", file.relative_to(folder), file.stat().st_size)
