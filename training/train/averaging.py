"""Averages the weights of the last checkpoints, which often beats each of them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.train.trainer import WEIGHTS


def average_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of each weight over checkpoints of one run.

    Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better Generalization.
    """
    total = load_file(checkpoints[0] / WEIGHTS)
    for checkpoint in checkpoints[1:]:
        for name, weight in load_file(checkpoint / WEIGHTS).items():
            total[name] = total[name] + weight
    return {
        name: (weight / len(checkpoints)).to(weight.dtype)
        if weight.is_floating_point()
        else torch.clone(weight)
        for name, weight in total.items()
    }
