"""Two readings of speech that may be one sentence or several: as one, and cut at its pauses.

A model that knows single sentences is sure of those and unsure of several at once. So a stretch
with pauses is read as one first; only what comes out unsure is cut and read again, and the likelier
reading stands. Cutting first would break slow sentences, never cutting would garble quick ones.
"""

from dataclasses import dataclass, field

from services.worker.decoding import Decoded
from services.worker.windows import Window

#: Mean log probability of a token above which a reading is not doubted.
_SURE = -0.2
#: By so much cut sentences look less likely than they are: each begins without what came before.
_LOSS_BY_CUTTING = 0.1


@dataclass
class Readings:
    """A window as one, and its parts as far as they are decoded."""

    window: Window
    whole: Decoded
    parts: list[Window] = field(init=False)
    _decoded: dict[float, Decoded] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Cut the window at its pauses."""
        self.parts = self.window.parts()

    @property
    def is_doubtful(self) -> bool:
        """Whether the parts should be read, too."""
        return len(self.parts) > 1 and self.whole.attempt.avg_logprob < _SURE

    def add(self, part: Window, decoded: Decoded) -> bool:
        """Take what was found in a part; return whether it was the last one."""
        self._decoded[part.start] = decoded
        return len(self._decoded) == len(self.parts)

    def better(self) -> list[tuple[Window, Decoded]]:
        """Return the likelier reading, once all parts are there."""
        in_order = [(part, self._decoded[part.start]) for part in self.parts]
        likelihood = _mean_log_prob([decoded for _, decoded in in_order])
        if self.whole.attempt.avg_logprob > likelihood + _LOSS_BY_CUTTING:
            return [(self.window, self.whole)]
        return in_order


def _mean_log_prob(parts: list[Decoded]) -> float:
    """Return the mean over all tokens, each part's end token among them."""
    weights = [len(part.attempt.tokens) + 1 for part in parts]
    logprobs = [part.attempt.avg_logprob for part in parts]
    return sum(w * p for w, p in zip(weights, logprobs, strict=True)) / sum(weights)
