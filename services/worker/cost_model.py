"""How long a batch will take: learned from the batches that ran."""

from dataclasses import dataclass

#: Weight of the newest batch in the recent means.
_NEWEST = 0.2
#: Seconds per frame of context while nothing was measured: a small model on a slow CPU.
_UNKNOWN_S_PER_FRAME = 0.001
#: Cost of each further window as a share of the first, while nothing was measured, and its bounds.
_UNKNOWN_SHARE = 0.5
_SHARE_BOUNDS = (0.01, 1.0)
#: How fast the share is learned: a batch with so many windows more or fewer than usual, squared,
#: moves it half as far as one with very many.
_SHARE_STEP = 0.5
_SHARE_DOUBT = 4.0


@dataclass
class _Recent:
    """Means of the recent batches of one context."""

    n_further: float
    """Windows after the first."""
    seconds: float


class CostModel:
    """Predicts `first(context) * (1 + share * (n_windows - 1))` seconds.

    The share is the same for all contexts, and learned from how the time differs between larger and
    smaller batches of one context (normalised least mean squares on what is above or below its
    recent means). When all take longer, as where two run at once or the texts are long, further
    windows do not cost more for that; nor when one context always comes in larger batches than
    another, which tells nothing of either.
    """

    def __init__(
        self, s_per_frame: float = _UNKNOWN_S_PER_FRAME, share: float = _UNKNOWN_SHARE
    ) -> None:
        """Begin with a guess.

        Args:
            s_per_frame: of a single window, by its context.
            share: of each further window, of what a single one takes.
        """
        self._s_per_frame = s_per_frame
        self._share = _bounded(share)
        self._recent: dict[int, _Recent] = {}

    def observe(self, context: int, n_windows: int, seconds: float) -> None:
        """Learn from a batch that ran."""
        n_further = n_windows - 1
        recent = self._recent.setdefault(context, _Recent(n_further, seconds))
        error = (seconds - self.predict(context, n_windows)) / self._first(context)
        more = n_further - recent.n_further
        self._share = _bounded(self._share + _SHARE_STEP * error * more / (_SHARE_DOUBT + more**2))
        recent.n_further += _NEWEST * more
        recent.seconds += _NEWEST * (seconds - recent.seconds)

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
        if not self._recent:
            return self._s_per_frame * context
        nearest = min(self._recent, key=lambda known: (abs(known - context), known))
        return self._first(nearest) * max(1.0, context / nearest)

    def _first(self, context: int) -> float:
        recent = self._recent[context]
        return recent.seconds / (1 + self._share * recent.n_further)


def _bounded(share: float) -> float:
    lowest, highest = _SHARE_BOUNDS
    return min(highest, max(lowest, share))
