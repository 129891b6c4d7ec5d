"""From text to text tokens, with our own byte-pair merging.

Any segmentation of a text decodes to the same text, so labels may use another one than the
standard: whole-word tokens do not teach a small model to spell, short tokens do. The BPE dropout of
the `tokenizers` library ignores every seed; ours takes the generator of the sample.
"""

import json
from functools import lru_cache

import numpy as np
from transformers import WhisperTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from training.train.config import Segmentation

SHORT_TOKEN_CHARS = 3
_SPACE = "Ġ"
_CONTINUATION = {symbol for byte, symbol in bytes_to_unicode().items() if 0x80 <= byte < 0xC0}


class Segmenter:
    """Splits text into the ids of text tokens.

    Args:
        tokenizer: its merges are used; it is not changed.
        dropout: share of merges to skip in mode `dropout`.
    """

    def __init__(self, tokenizer: WhisperTokenizer, dropout: float = 0.0) -> None:
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        self._ids: dict[str, int] = model["vocab"]
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        self._pre_tokenizer = tokenizer.backend_tokenizer.pre_tokenizer
        self._dropout = dropout
        self._cached = lru_cache(maxsize=100_000)(self._merge)

    def encode(self, text: str, mode: Segmentation, generator: np.random.Generator) -> list[int]:
        """Split a text.

        Args:
            text: as it will be decoded; Whisper's text starts with a space.
            mode: `full` is the standard segmentation, `dropout` skips merges at random, `short`
                does only merges
                whose token has at most 3 characters.
            generator: of the sample; only `dropout` draws from it.
        Returns:
            ids of text tokens; every mode decodes to `text`.
        """
        pieces = [piece for piece, _ in self._pre_tokenizer.pre_tokenize_str(text)]
        if mode == "dropout":
            return [
                self._ids[part] for piece in pieces for part in self._merge(piece, mode, generator)
            ]
        return [self._ids[part] for piece in pieces for part in self._cached(piece, mode, None)]

    def _merge(
        self, piece: str, mode: Segmentation, generator: np.random.Generator | None
    ) -> tuple[str, ...]:
        parts = list(piece)
        while len(parts) > 1:
            rank, best = min(
                (rank, index) for index, rank in enumerate(self._pair_ranks(parts, mode, generator))
            )
            if rank == self._never:
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        return tuple(parts)

    def _pair_ranks(
        self, parts: list[str], mode: Segmentation, generator: np.random.Generator | None
    ) -> list[int]:
        pairs = list(zip(parts, parts[1:], strict=False))
        ranks = [self._ranks.get(pair, self._never) for pair in pairs]
        if mode == "short":
            return [
                self._never if _n_chars(*pair) > SHORT_TOKEN_CHARS else rank
                for pair, rank in zip(pairs, ranks, strict=True)
            ]
        if generator is not None:
            # A character's own bytes and the space before it stay together: halves of characters
            # teach nothing.
            skipped = (generator.random(len(ranks)) < self._dropout).tolist()
            return [
                self._never if skip and _n_chars(*pair) > 1 else rank
                for skip, pair, rank in zip(skipped, pairs, ranks, strict=True)
            ]
        return ranks

    @property
    def _never(self) -> int:
        return len(self._ranks)


def _n_chars(left: str, right: str) -> int:
    """Count the characters that a joined token would show; its leading space is not one."""
    joined = (left + right).removeprefix(_SPACE)
    return sum(symbol not in _CONTINUATION for symbol in joined)
