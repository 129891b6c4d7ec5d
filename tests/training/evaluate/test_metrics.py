import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate.metrics import (
    ErrorCounts,
    count_characters,
    count_words,
    misses_end,
    repeats_itself,
    total,
    word_error_rate,
)

_texts = st.lists(st.sampled_from(["ja", "nej", "åtta", "hej", "x"]), max_size=8).map(" ".join)


def test_counts_name_each_kind_of_error() -> None:
    replaced_and_added = ErrorCounts(hits=3, substitutions=1, insertions=1)
    assert count_words("a b c d", "a x c d e") == replaced_and_added
    assert count_words("a b c", "a c") == ErrorCounts(hits=2, deletions=1)
    assert count_characters("åäö", "åao") == ErrorCounts(hits=1, substitutions=2)


def test_rate_is_over_the_corpus_not_a_mean_of_rates() -> None:
    assert word_error_rate(["a", "b c d e f g h i j"], ["x", "b c d e f g h i j"]) == 0.1


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"), [("", "", 0.0), ("", "a b", 2.0), ("a", "", 1.0)]
)
def test_empty_sides_have_a_rate(reference: str, hypothesis: str, rate: float) -> None:
    assert count_words(reference, hypothesis).rate == rate


@given(st.lists(st.tuples(_texts.filter(bool), _texts), min_size=1, max_size=5))
def test_sum_of_counts_equals_jiwer_over_the_corpus(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [r for r, _ in pairs], [h for _, h in pairs]
    ours = total(map(count_words, references, hypotheses))
    assert ours.rate == pytest.approx(jiwer.wer(references, hypotheses))
    assert ours.n_reference == sum(len(reference.split()) for reference in references)


def test_loops_are_repetitions_and_sentences_are_not() -> None:
    assert repeats_itself("tack för att du tittade " * 10)
    assert not repeats_itself("Vi ses klockan kvart över sju på torget i Västerås.")
    assert not repeats_itself("")


@pytest.mark.parametrize(
    ("reference", "hypothesis", "missing"),
    [
        ("vi ses på torget imorgon", "vi ses på", True),
        ("vi ses på torget imorgon", "vi ses på torget", False),
        ("vi ses på torget imorgon", "vi ses på torget i morgon", False),
        ("ja", "", True),
        ("ja", "ja", False),
        ("", "ja", False),
    ],
)
def test_missing_end_needs_two_words_or_all(reference: str, hypothesis: str, missing: bool) -> None:
    assert misses_end(reference, hypothesis) is missing
