"""Remembers what a run was begun with, so that nothing else is resumed in its place."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from services.contract.errors import ConfigError
from training.prepare.shards import PreparedCorpus
from training.train import checkpoints
from training.train.config import ModelConfig, TrainConfig
from training.train.schedule import first_decay_step
from training.train.setup import is_first_process, world_size

FINGERPRINT = "fingerprint.json"
BASELINE = "baseline.json"
"""The dev WER of the model that the run started from."""
FINAL = "final"
"""The folder of the finished model."""
_LENGTH_KEYS = {"train.max_steps", "train.decay_steps"}
_MACHINE_KEYS = {"train.data_workers", "train.keep_last", "train.log_every_steps"}
"""What fits a run to its machine and its disk; the weights do not depend on it."""


def keep_fingerprint(
    model: ModelConfig, config: TrainConfig, corpus: PreparedCorpus, seed: int, run_dir: Path
) -> None:
    """Remember what the run was begun with, and refuse to resume it with anything else.

    Another length is sound and allowed, while the learning rate has not begun to fall under either:
    until then steps and batches do not depend on it. So are other data workers, checkpoints to keep
    and lines of the log. And a run that failed before it had anything to resume may be mended in
    every way.
    """
    path = run_dir / FINGERPRINT
    now = {
        "seed": seed,
        "world_size": world_size(),
        "prepared_manifest_sha256": corpus.manifest_sha256,
        "model": model.model_dump(mode="json"),
        "train": config.model_dump(mode="json"),
    }
    if path.exists() and _has_begun(run_dir):
        then = _as_of_now(json.loads(path.read_text(encoding="utf-8")))
        changed = set(_changes(then, now)) - _MACHINE_KEYS
        if changed <= _LENGTH_KEYS and _is_before_decay(then, config, run_dir):
            changed = set()
        if changed:
            raise ConfigError(
                f"{', '.join(sorted(changed))} changed since this run began; put it back, or start "
                "anew in another work_dir"
            )
    if is_first_process():
        run_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _has_begun(run_dir: Path) -> bool:
    results = (run_dir / BASELINE, run_dir / FINAL)
    return any(path.exists() for path in results) or bool(
        checkpoints.complete_checkpoints(run_dir / "checkpoints")
    )


def _as_of_now(then: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of options that an older version did not have."""
    sections: dict[str, type[BaseModel]] = {"model": ModelConfig, "train": TrainConfig}
    for name, section in sections.items():
        try:
            then[name] = section.model_validate(then.get(name)).model_dump(mode="json")
        except ValidationError:  # has options that are gone, which is a change
            continue
    return then


def _is_before_decay(then: dict[str, Any], config: TrainConfig, run_dir: Path) -> bool:
    newest = checkpoints.newest_complete(run_dir / "checkpoints")
    step = 0 if newest is None else checkpoints.step_of(newest)
    before = TrainConfig.model_validate(then["train"])
    return step <= min(first_decay_step(before), first_decay_step(config))


def _changes(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    changed: list[str] = []
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed += _changes(before, after, f"{prefix}{key}.")
        elif before != after:
            changed.append(prefix + key)
    return changed
