"""A compact vocabulary scores like the full one and expands to it."""

import numpy as np
import torch

from training.train.vocabulary import Vocabulary

COMPACT = Vocabulary.compact(20, labels=[3, 5, 5], prompts=[7, 8, 8], first_special=17)


def test_rows_of_kept_and_other_tokens() -> None:
    kept = [3, 5, 8, 17, 18, 19]
    assert [COMPACT.row(token) for token in kept] == list(range(6))
    assert {COMPACT.row(token) for token in range(20) if token not in kept} == {6}
    assert (COMPACT.n_rows, COMPACT.n_others) == (7, 14)


def test_rows_map_back_to_tokens() -> None:
    assert COMPACT.tokens()[:6].tolist() == [3, 5, 8, 17, 18, 19]
    assert COMPACT.rows[COMPACT.tokens()[6]] == 6


def test_expanded_probabilities_are_those_of_training() -> None:
    embedding, state = torch.randn(7, 4), torch.randn(4)
    bias = COMPACT.logit_bias()
    assert bias is not None
    compact = (embedding @ state + bias).softmax(dim=0)
    full = (COMPACT.expand(embedding) @ state).softmax(dim=0)
    torch.testing.assert_close(full[[3, 5, 8, 17, 18, 19]], compact[:6])
    others = [token for token in range(20) if COMPACT.row(token) == 6]
    torch.testing.assert_close(full[others].sum(), compact[6])


def test_full_vocabulary_changes_nothing() -> None:
    full = Vocabulary.full(5)
    assert full.logit_bias() is None
    assert np.array_equal(full.tokens(), np.arange(5))
