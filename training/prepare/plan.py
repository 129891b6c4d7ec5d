"""All choices of a run, made before the first clip is decoded: rows, splits, order, shards."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator

from services.contract.errors import DataError
from training.prepare import audio, clips, labels, splits
from training.prepare.config import PrepareConfig
from training.prepare.filters import ROW_FILTERS, SOUND_FILTERS, RowFilter, tokens_filter
from training.prepare.parallel import Workers
from training.prepare.report import Report
from training.prepare.rows import Drop, Row, bad, defect
from training.prepare.selection import SET_FILTERS, select
from training.prepare.shards import to_json
from training.prepare.sources import Source
from training.progress import track


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """The rows of one shard, in id order."""

    name: str
    split: str
    rows: list[Row]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to make; equal plans give equal bytes."""

    shards: list[ShardPlan]
    sha256: str


def make_plan(config: PrepareConfig, source: Source, pool: Workers, report: Report) -> Plan:
    """Read the rows and decide about each.

    Raises:
        DataError: the source cannot be read, too many rows are bad, or none is left.
    """
    rows = list(_judged(config, source, report))
    rows = [
        dataclasses.replace(row, split=split) for row, split in splits.assign(rows, config.splits)
    ]
    report.n_assigned.update(row.split for row in rows)
    hashed = pool.map(functools.partial(clips.hashed, root=source.root), splits.in_order(rows))
    read = list(_kept(track(hashed, len(rows), "reading clips"), report))
    report.check_bad_share()
    chosen = splits.in_order(_kept(select(read, config.filters), report))
    if not chosen:
        raise DataError(f"no clip is left of {report.n_rows} rows: {report.reasons()}")
    report.notes += source.notes
    report.note_odd_texts(chosen)
    report.note_shared_sentences(chosen)
    report.note_shared_speakers(chosen)
    shards = list(_shards(chosen, config.clips_per_shard))
    return Plan(shards, _sha256(config, source.name, chosen))


def filter_versions() -> dict[str, int]:
    """Name every filter that a run applies, in the order of asking."""
    filters = (*ROW_FILTERS, tokens_filter(len), *SET_FILTERS, *SOUND_FILTERS)
    return {filter_.name: filter_.version for filter_ in filters}


def settings(config: PrepareConfig) -> dict[str, bool | int | float]:
    """List the settings that shape a corpus, without paths."""
    return {**config.filters.model_dump(), "trim_silence": config.trim_silence}


def _judged(config: PrepareConfig, source: Source, report: Report) -> Iterator[Row]:
    """Yield rows that pass the filters which look at one row alone, with their final text."""
    filters = [*ROW_FILTERS, *_tokens(config, report)]
    for row in _counted(source.rows, report):
        row = dataclasses.replace(row, text=labels.apply_policy(row.text, config.labels))
        drop = _first_drop(row, filters, config)
        if drop is None:
            yield row
        else:
            report.drop(drop)


def _counted(rows: Iterable[Row | Drop], report: Report) -> Iterator[Row]:
    for row in rows:
        report.n_rows += 1
        if isinstance(row, Drop):
            report.drop(row)
        elif problem := defect(row):
            report.drop(bad(row.where, problem))
        else:
            yield row


def _tokens(config: PrepareConfig, report: Report) -> list[RowFilter]:
    if not config.tokenizer:
        report.notes.append("token counts were not checked; set prepare.tokenizer to check them")
        return []
    from training.tokenizer import load_tokenizer  # seconds, which most runs need not wait

    tokenizer = load_tokenizer(config.tokenizer)
    return [tokens_filter(lambda text: len(tokenizer.encode(text, add_special_tokens=False)))]


def _first_drop(row: Row, filters: list[RowFilter], config: PrepareConfig) -> Drop | None:
    evaluation = row.split in splits.EVALUATION_SPLITS
    for filter_ in filters:
        if evaluation and not filter_.evaluation:
            continue
        if why := filter_.ask(row, config.filters):
            return Drop(filter_.name, row.where, why)
    return None


def _kept(rows: Iterable[Row | Drop], report: Report) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, Drop):
            report.drop(row)
        else:
            yield row


def _shards(rows: list[Row], clips_per_shard: int) -> Iterator[ShardPlan]:
    for split in splits.SPLITS:
        members = [row for row in rows if row.split == split]
        for number, first in enumerate(range(0, len(members), clips_per_shard)):
            part = members[first : first + clips_per_shard]
            yield ShardPlan(f"{split}-{number:05d}", split, part)


def _sha256(config: PrepareConfig, name: str, rows: list[Row]) -> str:
    choices = {
        "name": name,
        "labels": labels.describe(config.labels),
        "filters": filter_versions(),
        "settings": settings(config),
        "clips_per_shard": config.clips_per_shard,
        "tools": audio.tools(),
    }
    digest = hashlib.sha256(to_json(choices))
    for row in rows:
        part = (row.start_s, row.end_s, row.released_duration_s, row.domain)
        digest.update(to_json([row.id, row.audio_sha256, row.text, row.split, row.speaker, *part]))
    return digest.hexdigest()
