"""Random sequences of dictionary words: what teaches a model to spell beyond the grammar."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

from services.contract.errors import DataError
from training.synthesize.sentences import Sentence, as_sentence

DOMAIN = "dictionary"
# Whole lower-case words only: names, abbreviations, hyphens and genitive apostrophes are out.
_WORD = re.compile(r"[a-zåäöé]{3,12}")
_VOWEL = re.compile(r"[aeiouyåäöé]")


def read_words(path: Path) -> list[str]:
    """Read the usable words of a word list, sorted, each once.

    Args:
        path: one word per line, UTF-8 or Latin-1 (Debian's wswedish is Latin-1).
    Raises:
        DataError: the file is missing or holds no usable word.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"no word list at {path}: install the package wswedish or set "
            "synthesize.dictionary_file"
        ) from error
    words = {word for word in _decode(data).splitlines() if _is_usable(word)}
    if not words:
        raise DataError(f"{path} holds no lower-case words of 3 to 12 letters")
    return sorted(words)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _is_usable(word: str) -> bool:
    return _WORD.fullmatch(word) is not None and _VOWEL.search(word) is not None


def sequences(words: list[str], max_words: int, rng: random.Random) -> Iterator[Sentence]:
    """Deal the words in random order, 2 to `max_words` at a time, without end.

    Every word comes once before any comes twice, so that a corpus holds as many different
    words as it has room for.
    """
    deck = _deal(words, rng)
    while True:
        n_words = rng.randint(2, max_words)
        yield Sentence(as_sentence(" ".join(next(deck) for _ in range(n_words))), DOMAIN)


def _deal(words: list[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(words, len(words))
