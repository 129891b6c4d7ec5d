"""A whole training config: one YAML file, typed, unknown keys refused."""

import contextlib
import os
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from services.contract.errors import ConfigError
from training.config_errors import explain
from training.convert.config import ConvertConfig
from training.evaluate.config import EvaluateConfig
from training.prepare.config import PrepareConfig
from training.publish.config import PublishConfig
from training.synthesize.config import SynthesizeConfig
from training.train.config import ModelConfig, Section, TrainConfig


class DeployConfig(Section):
    """Where the finished bundle goes to be served."""

    models_dir: Path = Path("data/models")
    """The directory that workers watch."""
    force: bool = False
    """Deploy even if the model is worse than the one that is served now."""


class TrainingConfig(BaseModel):
    """Sections of all stages; each stage reads its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    seed: int = 1
    work_dir: Path
    """All outputs live under it: corpus/ prepared/ run/ report/ bundle/ publish/."""
    prepared: str | None = None
    """Prepared corpus elsewhere: folder, URL or prepared.tar.gz; then `prepare` is not needed."""
    synthesize: SynthesizeConfig | None = None
    """Makes the corpus; `prepare.source` is then `work_dir`/corpus."""
    prepare: PrepareConfig | None = None
    model: ModelConfig
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    convert: ConvertConfig
    deploy: DeployConfig | None = None
    publish: PublishConfig | None = None

    @model_validator(mode="after")
    def _some_data(self) -> Self:
        if self.prepared is None and self.prepare is None:
            raise ValueError("give `prepare`, or `prepared` with a corpus that is prepared already")
        return self


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, where YAML takes the last and drops the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value} is there twice", problem_mark=key.start_mark
                )
            known.add(str(key.value))
        return node


def load_config(path: Path, overrides: list[str]) -> TrainingConfig:
    """Read a config file.

    Args:
        path: YAML.
        overrides: `section.key=value`, values in YAML.
    Raises:
        ConfigError: not readable, an unknown key, a bad value.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check --config") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} cannot be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no sections; copy one of training/configs and change it")
    for override in overrides:
        _set(content, override)
    if isinstance(content.get("convert", {}), dict):
        content["convert"] = {"name": content.get("name"), **content.get("convert", {})}
    try:
        return TrainingConfig.model_validate(_at_home(content))
    except ValidationError as error:
        problem, key = explain(error, TrainingConfig)
        raise ConfigError(f"{path}: {problem}", param=key) from error


def _at_home(value: Any) -> Any:
    """Write out ~/, which no shell does within YAML, fsspec does and pathlib does not."""
    if isinstance(value, dict):
        return {key: _at_home(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_at_home(inner) for inner in value]
    at_home = isinstance(value, str) and value.startswith("~/")
    return os.path.expanduser(value) if at_home else value


def save_config(config: TrainingConfig, path: Path) -> None:
    """Write the resolved config, every default spelled out, in one step.

    Raises:
        ConfigError: the folder cannot be written.
    """
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")  # torchrun starts many of us
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise ConfigError(
            f"work_dir: {path.parent} cannot be written: {error.strerror}; make room or choose "
            "another",
            param="work_dir",
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
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML") from error
