"""How many windows a batch may have: as many as are predicted to run within a time budget, and have
room in memory.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass

from services.worker.cost_model import CostModel

#: A batch may take so many times one window, whatever the budget: on a GPU one can take longer
#: than that, and more of them, which cost next to nothing, would never be tried.
_LITTLE_MORE = 1.5
#: When most of so many batches of one context were as large as any, one more window may run,
#: whatever is predicted: batches of one size do not tell what others cost, and a pair that was slow
#: by chance, or as its text was long, would otherwise stay the last one that was tried.
_N_RECENT = 16
#: Bulk windows may make a batch that people wait for so many times longer: on a GPU they cost next
#: to nothing, on a processor each clip would take as long as the budget allows.
_COMPANY = 1.25
#: After so many batches that ran, twice as much memory is tried as there was when it ran out: what
#: took it, such as the model that was served before, may be gone.
_MEMORY_PATIENCE = 200


@dataclass(frozen=True)
class BatchLimits:
    """What the operator allows."""

    max_windows: int
    budget_s: float
    """No batch is started that is predicted to take longer, but for one that takes little more than
    a single window would."""


class BatchSizes:
    """Tells by what earlier batches cost whether a larger one fits. Not thread-safe."""

    def __init__(self, limits: BatchLimits, costs: CostModel) -> None:
        self.max_windows = limits.max_windows
        self._budget_s = limits.budget_s
        self._costs = costs
        self._recent: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=_N_RECENT))
        self._most_frames = math.inf
        self._n_since_memory_changed = 0

    def fits(self, context: int, n_windows: int, n_company: int = 0) -> bool:
        """Whether a batch may have so many windows of that context; one always runs.

        Args:
            n_company: how many of them are bulk work in a batch that people wait for.
        """
        if n_windows > self.max_windows or n_windows * context > self._most_frames:
            return False
        predicted_s = self._costs.predict(context, n_windows)
        people_s = self._costs.predict(context, n_windows - n_company)
        if n_company and predicted_s > _COMPANY * people_s:
            return False
        longest_s = max(self._budget_s, _LITTLE_MORE * self._costs.predict(context, 1))
        return predicted_s <= longest_s or self._is_next(context, n_windows)

    def ran(self, context: int, n_windows: int, seconds: float) -> None:
        """Learn from a batch that ran."""
        self._recent[context].append(n_windows)
        self._costs.observe(context, n_windows, seconds)
        self._n_since_memory_changed += 1
        if self._n_since_memory_changed >= _MEMORY_PATIENCE:
            self._change_memory(2 * self._most_frames)

    def ran_out_of_memory(self, context: int, n_windows: int) -> None:
        """Learn that a batch of several needs more memory than there is: half of it may do."""
        self._change_memory(context * n_windows / 2)

    def _is_next(self, context: int, n_windows: int) -> bool:
        sizes = self._recent[context]
        if len(sizes) < _N_RECENT or n_windows != max(sizes) + 1:
            return False
        return sizes.count(max(sizes)) > _N_RECENT / 2

    def _change_memory(self, most_frames: float) -> None:
        self._most_frames = most_frames
        self._n_since_memory_changed = 0
