"""Which clips make up each batch of the whole run, decided before the first step.

The plan is a pure function of the seed, the config and the durations of the clips. So a resumed run
only has to know how many batches it has seen, and any number of data workers reads the same
batches. The first N batches do not depend on how many follow, as long as the phases begin at the
same batch.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from training.train.config import MixConfig

_POOL_BATCHES = (
    40  # batches whose clips are sorted by length together: large enough for little padding
)
_LONG_FORM_S = (30.0, 60.0)  # a window, and up to as much before it


@dataclasses.dataclass(frozen=True, slots=True)
class Draw:
    """One clip, drawn in one pass over the corpus."""

    clip: int
    epoch: int


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Windows that are trained on together; each window joins one or more clips."""

    index: int
    windows: tuple[tuple[Draw, ...], ...]
    full_context: bool
    """Padded to 30 s, else to a little more than the longest window."""
    served_context: bool
    """If short, padded to a length that the worker serves."""
    long_form: bool = False
    """The first clips of a window only give the text before it; the last one is cut."""


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run with one mix of windows."""

    n_batches: int
    mix: MixConfig


class Planner:
    """Draws batches; call `plan` once.

    Args:
        durations: seconds of each clip.
        seed: of the run.
        batch_size: windows per batch of single clips.
        joined_batch_size: windows per batch of joined or 30 s windows.
    """

    def __init__(
        self, durations: Sequence[float], seed: int, batch_size: int, joined_batch_size: int
    ) -> None:
        self._durations = durations
        self._seed = seed
        self._generator = np.random.default_rng([seed, 1])
        self._singles = _passes(len(durations), seed, 2)
        self._joins = _passes(len(durations), seed, 3)
        self._batch_size = batch_size
        self._joined_batch_size = joined_batch_size
        self._pools: dict[int, list[tuple[Draw, ...]]] = {}

    def plan(self, phases: Sequence[Phase]) -> list[Batch]:
        """Draw all batches of the run, phase after phase."""
        batches: list[Batch] = []
        for phase in phases:
            batches += [
                self._batch(len(batches) + offset, phase.mix) for offset in range(phase.n_batches)
            ]
        return batches

    def _batch(self, index: int, mix: MixConfig) -> Batch:
        joined, full = self._generator.random(2) < (mix.joined_share, mix.full_context_share)
        served = np.random.default_rng([self._seed, 6, index]).random() < mix.served_context_share
        if np.random.default_rng([self._seed, 8, index]).random() < mix.long_form_share:
            lengths_s = self._generator.uniform(*_LONG_FORM_S, size=self._joined_batch_size)
            windows = [self._join(float(length_s)) for length_s in lengths_s]
            return Batch(
                index, tuple(windows), full_context=True, served_context=False, long_form=True
            )
        if joined:
            length_s = float(self._generator.uniform(mix.joined_min_s, mix.joined_max_s))
            windows = [self._join(length_s) for _ in range(self._joined_batch_size)]
            return Batch(index, tuple(windows), bool(full), bool(served))
        size = min(self._batch_size, self._joined_batch_size) if full else self._batch_size
        windows = [(draw,) for draw in self._similar(size)]
        return Batch(index, tuple(windows), bool(full), bool(served))

    def _join(self, length_s: float) -> tuple[Draw, ...]:
        draws = [next(self._joins)]
        total_s = self._durations[draws[0].clip]
        while total_s < length_s:
            draws.append(next(self._joins))
            total_s += self._durations[draws[-1].clip]
        return tuple(draws)

    def _similar(self, size: int) -> tuple[Draw, ...]:
        """Take a batch of clips of similar length from the pool for this batch size."""
        pool = self._pools.setdefault(size, [])
        if not pool:
            draws = [next(self._singles) for _ in range(size * _POOL_BATCHES)]
            draws.sort(key=lambda draw: (self._durations[draw.clip], draw.epoch, draw.clip))
            pool += [tuple(draws[start : start + size]) for start in range(0, len(draws), size)]
            self._generator.shuffle(pool)
        return pool.pop()


def _passes(n_clips: int, seed: int, stream: int) -> Iterator[Draw]:
    """Yield every clip once per epoch, each epoch in another order, without end."""
    epoch = 0
    while True:
        order = np.random.default_rng([seed, stream, epoch]).permutation(n_clips)
        yield from (Draw(int(clip), epoch) for clip in order)
        epoch += 1
