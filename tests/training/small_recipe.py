"""A recipe of a few steps, as the content of a config file."""

from pathlib import Path
from typing import Any


def small_recipe(work_dir: Path, base: Path) -> dict[str, Any]:
    """Start from a model that always says one sentence; what it learns in a few steps is nothing.

    Data and the place to deploy to are left to the caller.
    """
    return {
        "name": "small",
        "work_dir": str(work_dir),
        "model": {"base": str(base)},
        "train": {
            "max_steps": 4,
            "warmup_steps": 1,
            "learning_rate": 1e-7,
            "batch_size": 4,
            "save_every_steps": 2,
            "evaluate_every_steps": 2,
            "dev_clips": 2,
            "device": "cpu",
        },
        "evaluate": {
            "splits": ["dev", "test"],
            "beam_size": 1,
            "max_new_tokens": 8,
            "long_form_minutes": 0,
            "threads": 1,
        },
        "convert": {"quantization": "float32", "parity_clips": 2, "quantization_clips": 2},
    }
