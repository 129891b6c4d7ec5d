"""How long a batch will take: learned from the batches that ran."""

#: Weight of the newest measurement.
_NEWEST = 0.3
#: Seconds per window and frame of context while nothing was measured: a small model on a slow CPU.
_UNKNOWN_S_PER_FRAME = 0.001


class CostModel:
    """Predicts seconds from (context, number of windows); pessimistic where it has not looked."""

    def __init__(self) -> None:
        self._seconds: dict[int, dict[int, float]] = {}

    def observe(self, context: int, n_windows: int, seconds: float) -> None:
        """Learn from a batch that ran."""
        known = self._seconds.setdefault(context, {})
        before = known.get(n_windows, seconds)
        known[n_windows] = before + _NEWEST * (seconds - before)

    def predict(self, context: int, n_windows: int) -> float:
        """Return the seconds that a batch will probably take.

        A batch is taken to cost at most what a larger one did, and at most as much per window
        as a smaller one, so sizes are tried one step further as they prove cheap, and one slow
        moment of the machine does not rule a size out. A context that never ran is taken to cost
        as much per frame as the nearest one.
        """
        if not self._seconds:
            return _UNKNOWN_S_PER_FRAME * context * n_windows
        nearest = min(self._seconds, key=lambda known: (abs(known - context), known))
        by_size = self._seconds[nearest]
        bounds = (seconds * max(1.0, n_windows / size) for size, seconds in by_size.items())
        return min(bounds) * max(1.0, context / nearest)
