"""Reads a source and parts what can be used from what cannot."""

from collections.abc import Iterable
from pathlib import Path

from training.prepare.config import PrepareConfig
from training.prepare.rows import Drop, Row
from training.prepare.sources import open_source


def parted(answers: Iterable[Row | Drop]) -> tuple[list[Row], dict[str, str]]:
    """Part rows from drops; of a drop, say where and why."""
    answers = list(answers)
    rows = [answer for answer in answers if isinstance(answer, Row)]
    return rows, {drop.where: drop.detail for drop in answers if isinstance(drop, Drop)}


def rows_of(source: Path, scratch: Path, **options: object) -> list[Row]:
    config = PrepareConfig.model_validate({"source": source, **options})
    rows, bad = parted(open_source(config, scratch).rows)
    assert not bad
    return rows
