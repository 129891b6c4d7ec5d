"""Error rates over a whole corpus, and the counts behind them.

A rate is (S + D + I) / (H + S + D) over all utterances together, never a mean of rates. Counts are
kept per utterance, so that any subset (a duration bin, a bootstrap sample) is a sum of counts.
"""

from collections.abc import Iterable

import jiwer
from pydantic import BaseModel, ConfigDict

from services.contract.suspicion import COMPRESSION_RATIO_LIMIT, compression_ratio

# One wrong last word is an error like any other; two missing ones mean that decoding stopped early.
MISSING_END_WORDS = 2


class ErrorCounts(BaseModel):
    """Hits, substitutions, deletions and insertions of words or characters."""

    model_config = ConfigDict(frozen=True)

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def n_reference(self) -> int:
        """Units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def n_errors(self) -> int:
        """Units that are wrong, missing or too many."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit; per one unit where the reference is empty."""
        return self.n_errors / max(1, self.n_reference)

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        """Add the counts of another utterance."""
        return ErrorCounts(
            hits=self.hits + other.hits,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Sum counts over utterances."""
    return sum(counts, ErrorCounts())


def count_words(reference: str, hypothesis: str) -> ErrorCounts:
    """Compare one utterance word by word."""
    return _counts(jiwer.process_words(reference, hypothesis))


def count_characters(reference: str, hypothesis: str) -> ErrorCounts:
    """Compare one utterance character by character, spaces included."""
    return _counts(jiwer.process_characters(reference, hypothesis))


def word_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """Return the word error rate of a corpus as a share; may exceed 1."""
    return total(map(count_words, references, hypotheses)).rate


def repeats_itself(text: str) -> bool:
    """Whether a transcript is caught in a loop."""
    return compression_ratio(text) > COMPRESSION_RATIO_LIMIT


def misses_end(reference: str, hypothesis: str) -> bool:
    """Whether the transcript stops before the speech does: its last words are missing.

    Args:
        reference: normalised text of the clip.
        hypothesis: normalised transcript.
    """
    alignment = jiwer.process_words(reference, hypothesis).alignments[0]
    if not alignment or alignment[-1].type != "delete":
        return False
    n_missing = alignment[-1].ref_end_idx - alignment[-1].ref_start_idx
    return bool(n_missing >= min(MISSING_END_WORDS, len(reference.split())))


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> ErrorCounts:
    return ErrorCounts(
        hits=output.hits,
        substitutions=output.substitutions,
        deletions=output.deletions,
        insertions=output.insertions,
    )
