"""Which rows of the vocabulary are trained.

The softmax over 51865 tokens is most of the work of a small model, and a corpus in one language
uses few of them. A compact vocabulary keeps the tokens that occur, and one more row that stands for
all others: its logit counts once per token it stands for, and export copies it to all their rows.
So the exported model finds every unused token unlikely.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Maps the ids of the tokenizer to the rows of the model that is trained."""

    rows: NDArray[np.int64]
    """Row of each token id, shape (n_tokens,)."""
    n_rows: int
    n_others: int
    """How many tokens share the last row; 0 for a full vocabulary."""

    @classmethod
    def full(cls, n_tokens: int) -> Self:
        """Every token has its own row."""
        return cls(np.arange(n_tokens, dtype=np.int64), n_tokens, 0)

    @classmethod
    def compact(
        cls, n_tokens: int, labels: Iterable[int], prompts: Iterable[int], first_special: int
    ) -> Self:
        """Keep tokens of labels, those that prompts have at least twice, and special tokens.

        Tokens that occur once in prompts share the last row, which teaches it to be read too.
        """
        often = {token for token, count in Counter(prompts).items() if count > 1}
        kept = sorted(set(labels) | often | set(range(first_special, n_tokens)))
        rows = np.full(n_tokens, len(kept), dtype=np.int64)
        rows[kept] = np.arange(len(kept))
        return cls(rows, len(kept) + 1, n_tokens - len(kept))

    def row(self, token: int) -> int:
        """Return the row of a token."""
        return int(self.rows[token])

    def logit_bias(self) -> Tensor | None:
        """Return what training adds to logits, shape (n_rows,); None for a full vocabulary."""
        if self.n_others == 0:
            return None
        bias = torch.zeros(self.n_rows)
        bias[-1] = float(np.log(self.n_others))
        return bias

    def tokens(self) -> NDArray[np.int64]:
        """Return a token id for each row, the first of its tokens for a shared one."""
        tokens = np.zeros(self.n_rows, dtype=np.int64)
        tokens[self.rows[::-1]] = np.arange(len(self.rows), dtype=np.int64)[::-1]
        return tokens

    def expand(self, embedding: Tensor) -> Tensor:
        """Give every token its row: (n_rows, d_model) to (n_tokens, d_model)."""
        return embedding[torch.from_numpy(self.rows)]
