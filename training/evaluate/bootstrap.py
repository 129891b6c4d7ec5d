"""Confidence intervals of error rates by resampling clips.

Clips of a test set are not independent draws of words: errors come in bunches. Drawing whole clips
with replacement keeps them together, and drawing the same clips for two models cancels what is
hard for both.

Source: Bisani and Ney, Bootstrap estimates for confidence intervals in ASR performance evaluation,
ICASSP 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate.metrics import ErrorCounts

N_SAMPLES = 2000
_SEED = 0
_TAIL = 2.5  # percent on each side


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval."""

    low: float
    value: float
    high: float


def rate_interval(counts: Sequence[ErrorCounts]) -> Interval:
    """Return the error rate of a test set with its interval; counts are per clip."""
    errors, words = _arrays(counts)
    draws = _draws(len(counts))
    rates = errors[draws].sum(axis=1) / np.maximum(1, words[draws].sum(axis=1))
    return _interval(float(errors.sum() / max(1, words.sum())), rates)


def difference_interval(counts: Sequence[ErrorCounts], baseline: Sequence[ErrorCounts]) -> Interval:
    """Return rate minus baseline rate; an interval without 0 is a difference that would last.

    Args:
        counts: per clip.
        baseline: of another model on the same clips in the same order.
    """
    draws = _draws(len(counts))
    value = 0.0
    rates = np.zeros(N_SAMPLES)
    for sign, each in ((1, counts), (-1, baseline)):
        errors, words = _arrays(each)
        value += sign * float(errors.sum() / max(1, words.sum()))
        rates += sign * errors[draws].sum(axis=1) / np.maximum(1, words[draws].sum(axis=1))
    return _interval(value, rates)


def _arrays(counts: Sequence[ErrorCounts]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    errors = np.array([each.n_errors for each in counts], dtype=np.int64)
    return errors, np.array([each.n_reference for each in counts], dtype=np.int64)


def _draws(n_clips: int) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, n_clips, size=(N_SAMPLES, n_clips))


def _interval(value: float, rates: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(rates, [_TAIL, 100 - _TAIL])
    return Interval(float(low), value, float(high))
