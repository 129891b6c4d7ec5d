"""The stage that hands a bundle to the workers, and its undoing; loads nothing that trains."""

import logging
from pathlib import Path

from services.contract import model_registry
from services.contract.errors import ConfigError
from services.contract.model_bundle import read
from training.config import DeployConfig, TrainingConfig

logger = logging.getLogger(__name__)


def deploy(config: TrainingConfig, source: str | None) -> None:
    """Hand the bundle to the workers."""
    section = _section(config)
    bundle = model_registry.deploy(
        source or str(converted(config)), section.models_dir, force=section.force
    )
    logger.info("deployed %s", bundle.id)


def rollback(config: TrainingConfig) -> str:
    """Undo the last deploy; returns what is served now."""
    bundle = model_registry.rollback(_section(config).models_dir)
    return "STT_MODEL" if bundle is None else bundle.id


def is_deployed(config: TrainingConfig) -> bool:
    """Whether the bundle was handed over before; a rollback since then is not undone."""
    models_dir = _section(config).models_dir
    bundle = read(bundle_folder(config))
    if all(bundle.manifest != known.manifest for known in model_registry.list_deployed(models_dir)):
        return False
    serving = model_registry.current(models_dir)
    if serving is not None and serving.manifest == bundle.manifest:
        logger.info("already deployed: %s", bundle.id)
    else:
        now = "nothing" if serving is None else serving.id
        logger.warning(
            "%s was deployed before and %s is now; the command `deploy` would serve it again",
            bundle.id,
            now,
        )
    return True


def bundle_folder(config: TrainingConfig) -> Path:
    """Where `convert` leaves the bundle."""
    return config.work_dir / "bundle"


def converted(config: TrainingConfig) -> Path:
    """Find the bundle.

    Raises:
        ConfigError: nothing is converted yet.
    """
    folder = bundle_folder(config)
    if not folder.is_dir():
        raise ConfigError(f"no bundle is in {config.work_dir} yet; run `convert` first")
    return folder


def _section(config: TrainingConfig) -> DeployConfig:
    if config.deploy is None:
        raise ConfigError("the config has no `deploy` section", param="deploy")
    return config.deploy
