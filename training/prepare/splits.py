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


def assign(rows: list[Row], config: SplitConfig) -> Iterator[tuple[Row, str]]:
    """Give every row its split; rows that have one keep it.

    A row's split depends on a hash of its speaker (or sentence) alone, so it stays when more data
    comes. Where few speakers are known, whole splits could come out empty: sentences decide then.
    """
    speakers = {row.speaker for row in rows if not row.split}
    by_speaker = config.by == "speaker" and len(speakers) >= _FEW_SPEAKERS
    for row in rows:
        key = row.speaker if by_speaker and row.speaker else sentence_key(row.text)
        yield row, row.split or _drawn(key, config)


def _drawn(key: str, config: SplitConfig) -> str:
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    if place < config.test_share:
        return "test"
    return "dev" if place < config.test_share + config.dev_share else "train"


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort by split, in the order of claim, then by id."""
    return sorted(rows, key=lambda row: (SPLITS.index(row.split), row.id))
