"""Two readings of speech that may be one sentence or several: as one, and cut at its pauses.

A model that knows single sentences is sure of those and unsure of several at once. So a stretch
with pauses is read as one first; only what comes out unsure is cut and read again, and the likelier
reading stands. Cutting first would break slow sentences, never cutting would garble quick ones.
"""

from dataclasses import dataclass, field

from services.worker.decoding import Decoded
from services.worker.windows import Window

#: Mean log probability of a token above which a reading is not doubted. Chosen, as the next one, on
#: espeak's voices: hardly any joined sentences are above it; a slow single one often is not, but
#: then cutting makes it less likely still.
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
        is_unsure = self.whole.is_suspicious or self.whole.attempt.avg_logprob < _SURE
        return len(self.parts) > 1 and is_unsure

    def add(self, part: Window, decoded: Decoded) -> bool:
        """Take what was found in a part; return whether it was the last one."""
        self._decoded[part.start] = decoded
        return len(self._decoded) == len(self.parts)

    def better(self) -> list[tuple[Window, Decoded]]:
        """Return the reading that is not suspicious, else the likelier one, once all is there."""
        decoded = [self._decoded[part.start] for part in self.parts]
        is_cut = _mean_log_prob(decoded) + _LOSS_BY_CUTTING >= self.whole.attempt.avg_logprob
        if any(part.is_suspicious for part in decoded) != self.whole.is_suspicious:
            is_cut = self.whole.is_suspicious  # What repeats itself is likely, and wrong.
        if is_cut:
            return list(zip(self.parts, decoded, strict=True))
        return [(self.window, self.whole)]


def _mean_log_prob(parts: list[Decoded]) -> float:
    """Return the mean over all tokens, each part's end token among them."""
    weights = [len(part.attempt.tokens) + 1 for part in parts]
    logprobs = [part.attempt.avg_logprob for part in parts]
    return sum(w * p for w, p in zip(weights, logprobs, strict=True)) / sum(weights)
