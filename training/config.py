"""A whole training config: one YAML file, typed, unknown keys refused."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from services.contract.errors import ConfigError
from training.train.config import ModelConfig, TrainConfig


class TrainingConfig(BaseModel):
    """Sections of all stages; each stage reads its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    seed: int = 1
    work_dir: Path
    """All outputs live under it: corpus/ prepared/ run/ report/ bundle/."""
    model: ModelConfig
    train: TrainConfig


def load_config(path: Path, overrides: list[str]) -> TrainingConfig:
    """Read a config file.

    Args:
        overrides: `section.key=value`, values in YAML.
    Raises:
        ConfigError: not readable, an unknown key, a bad value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    for override in overrides:
        _set(content, override)
    try:
        return TrainingConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: {where or 'config'}: {first['msg']}", param=where or None
        ) from error


def _set(content: Any, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override}: write section.key=value")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {}) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise ConfigError(f"--set {override}: {key} is not inside a section")
    content[last] = yaml.safe_load(value)
