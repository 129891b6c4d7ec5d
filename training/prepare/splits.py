"""Which split a clip goes to, and what keeps the splits apart."""

import hashlib
from collections.abc import Iterable, Iterator

from training.prepare.config import SplitConfig
from training.prepare.labels import sentence_key
from training.prepare.rows import Row

SPLITS = ("test", "dev", "train", "extra")
"""In the order of claim: what is in an earlier one is kept out of a later one."""
EVALUATION_SPLITS = frozenset({"test", "dev"})
_FEW_SPEAKERS = 20
_FEWEST_KEYS = 3


def assign(rows: list[Row], config: SplitConfig) -> Iterator[tuple[Row, str]]:
    """Give every row its split; rows that have one keep it.

    A row's split depends on a hash of its speaker (or sentence) alone, so it stays when more data
    comes. Where few speakers are known, whole splits could come out empty: sentences decide then.
    Of a dozen sentences none may fall into dev or test; the nearest one is taken then. To a dev or
    test set that is marked nothing is added.
    """
    speakers = {row.speaker for row in rows if not row.split}
    by_speaker = config.by == "speaker" and len(speakers) >= _FEW_SPEAKERS
    keys = [row.speaker if by_speaker and row.speaker else sentence_key(row.text) for row in rows]
    unsplit = {key for row, key in zip(rows, keys, strict=True) if not row.split}
    drawn = _drawn(unsplit, {row.split for row in rows}, config)
    for row, key in zip(rows, keys, strict=True):
        yield row, row.split or drawn[key]


def _drawn(keys: set[str], released: set[str], config: SplitConfig) -> dict[str, str]:
    """Map keys to splits; none of test, dev and train is left empty while there are three keys."""
    shares = {"test": config.test_share, "dev": config.dev_share, "train": 1.0}
    shares |= dict.fromkeys(released & EVALUATION_SPLITS, 0.0)
    places = {key: _place(key) for key in keys}
    drawn: dict[str, str] = {}
    limit = 0.0
    for split, share in shares.items():
        limit += share
        left = sorted(keys - drawn.keys(), key=places.__getitem__)
        members = [key for key in left if places[key] < limit]
        if not members and share and split not in released and len(keys) >= _FEWEST_KEYS:
            members = left[:1]
        drawn |= dict.fromkeys(members, split)
    return drawn


def _place(key: str) -> float:
    """Hash a key to a place between 0 and 1."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort by split, in the order of claim, then by id."""
    return sorted(rows, key=lambda row: (SPLITS.index(row.split), row.id))
