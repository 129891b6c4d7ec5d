"""How long a batch will take: learned from the batches that ran."""

#: Weight of the newest measurement.
_NEWEST = 0.3
#: Seconds per frame of context while nothing was measured: a small model on a slow CPU.
_UNKNOWN_S_PER_FRAME = 0.001
#: Cost of each further window as a share of the first, while nothing was measured, and its bounds.
_UNKNOWN_SHARE = 0.5
_SHARE_BOUNDS = (0.01, 1.0)


class CostModel:
    """Predicts `first(context) * (1 + share * (n_windows - 1))` seconds."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._share = _UNKNOWN_SHARE

    def observe(self, context: int, n_windows: int, seconds: float) -> None:
        """Learn from a batch that ran."""
        first = self._first.get(context)
        if n_windows > 1 and first is not None:
            lowest, highest = _SHARE_BOUNDS
            share = min(highest, max(lowest, (seconds / first - 1) / (n_windows - 1)))
            self._share += _NEWEST * (share - self._share)
        as_first = seconds / (1 + self._share * (n_windows - 1))
        self._first[context] = as_first if first is None else first + _NEWEST * (as_first - first)

    def predict(self, context: int, n_windows: int) -> float:
        """Return the seconds that a batch will probably take."""
        return self._alone(context) * (1 + self._share * (n_windows - 1))

    def saved_by_joining(self, context: int) -> float:
        """Return the seconds that a window saves that comes along in a batch: on a GPU, nearly all
        that it would take alone.
        """
        return self._alone(context) * (1 - self._share)

    def _alone(self, context: int) -> float:
        """Return the seconds of a single window.

        A context that never ran is taken to cost as much per frame as the nearest one that did.
        """
        if not self._first:
            return _UNKNOWN_S_PER_FRAME * context
        nearest = min(self._first, key=lambda known: (abs(known - context), known))
        return self._first[nearest] * max(1.0, context / nearest)
