"""`prepare`: recordings and texts in, a prepared corpus out; killed at any moment, it continues.

Read, judge and split the rows; then decode, judge and encode the clips, shard by shard, over all
cores. Every choice is made before the first clip is decoded and depends on the input alone, so the
bytes depend neither on the number of processes nor on how often the run was killed.
"""

import functools
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from services.contract.errors import DataError
from training.prepare import archive, audio, clips, labels
from training.prepare.clips import PreparedClip
from training.prepare.config import PrepareConfig
from training.prepare.manifest import (
    MANIFEST_FILE,
    REPORT_FILE,
    FilterEntry,
    PreparedManifest,
    ShardEntry,
    SplitEntry,
)
from training.prepare.parallel import Workers, workers
from training.prepare.plan import Plan, ShardPlan, filter_versions, make_plan, settings
from training.prepare.report import Report
from training.prepare.rows import Drop
from training.prepare.shards import SAMPLE_RATE, ShardWriter
from training.prepare.sources import Source, open_source
from training.prepare.workplace import ShardRecord, Workplace, reading, writing
from training.progress import track

logger = logging.getLogger(__name__)


def prepare(config: PrepareConfig, out_url: str) -> PreparedManifest:
    """Make a prepared corpus, or continue to make it.

    Args:
        config: source, label policy, filters, splits.
        out_url: folder or fsspec URL for shards, indexes, report.json and manifest.json.
    Raises:
        DataError: the source is unusable, or the target holds another corpus.
        OutputError: the target cannot be written.
    """
    place = Workplace(out_url, config.scratch_dir)
    with writing(out_url):
        place.open()
    try:
        manifest = _prepare(config, place)
        if config.export:
            _export(config.export, manifest, place, overwrite=config.overwrite)
        place.close()
    finally:
        place.release()
    return manifest


def _export(target: Path, manifest: PreparedManifest, place: Workplace, *, overwrite: bool) -> None:
    """Pack the corpus, unless an earlier run did; another file is in the way."""
    if target.exists() and archive.holds(target, manifest):
        logger.info("already exported: %s", target)
        return
    if target.exists() and not overwrite:
        raise DataError(
            "is no archive of this corpus; choose another name, or set prepare.overwrite=true",
            path=str(target),
        )
    with writing(str(target)):
        archive.export(place.out_url, target)


def _prepare(config: PrepareConfig, place: Workplace) -> PreparedManifest:
    report = Report(config.max_bad_share)
    with workers(config.workers) as pool:
        with reading(config.source):
            source = open_source(config, place.source)
            plan = make_plan(config, source, pool, report)
        with writing(place.out_url):
            done = _existing(place, plan, overwrite=config.overwrite)
            return done or _make(config, place, plan, source, pool, report)


def _existing(place: Workplace, plan: Plan, *, overwrite: bool) -> PreparedManifest | None:
    """Find the corpus that an earlier run completed; another one is in the way."""
    manifest = place.finished()
    if manifest is None:
        return None
    complete = manifest.plan_sha256 == plan.sha256 and place.has_shards(manifest)
    if complete:
        logger.info("already prepared: %s", place.out_url)
        return manifest
    if not overwrite:
        state = "is damaged" if manifest.plan_sha256 == plan.sha256 else "is another corpus"
        raise DataError(
            f"the corpus there {state}; choose another folder, or set prepare.overwrite=true",
            path=place.out_url,
        )
    place.remove(manifest)
    return None


def _make(
    config: PrepareConfig,
    place: Workplace,
    plan: Plan,
    source: Source,
    pool: Workers,
    report: Report,
) -> PreparedManifest:
    place.begin(plan.sha256)
    done = {shard.name: record for shard in plan.shards if (record := place.record(shard.name))}
    todo = [shard for shard in plan.shards if shard.name not in done]
    rows = chain.from_iterable(shard.rows for shard in todo)
    work = functools.partial(clips.prepared, root=source.root, config=config)
    n_rows = sum(len(shard.rows) for shard in todo)
    made = iter(track(pool.map(work, rows), n_rows, "preparing clips"))
    entries: list[ShardEntry] = []
    for shard in plan.shards:
        record = done.get(shard.name) or _shard(place, shard, made)
        for drop in record.drops:
            report.drop(drop)
        report.check_bad_share()
        place.keep(shard.name, record)
        entries.append(record.shard)
    next(made, None)  # so that the progress knows its end, before the summary is printed
    return _complete(config, place, plan, source.name, report, entries)


def _shard(place: Workplace, shard: ShardPlan, made: Iterator[PreparedClip | Drop]) -> ShardRecord:
    """Write one shard from the next results, as many as it has rows."""
    drops: list[Drop] = []
    with ShardWriter(place.folder, shard.name, shard.split) as writer:
        for clip in islice(made, len(shard.rows)):
            if isinstance(clip, Drop):
                drops.append(clip)
            else:
                writer.add(clip.flac, clip.facts)
        return ShardRecord(shard=writer.close(), drops=drops)


def _complete(
    config: PrepareConfig,
    place: Workplace,
    plan: Plan,
    name: str,
    report: Report,
    shards: list[ShardEntry],
) -> PreparedManifest:
    """Write report and manifest: with the manifest, the corpus is complete."""
    manifest = PreparedManifest(
        source=name,
        sample_rate_hz=SAMPLE_RATE,
        shards=tuple(shards),
        splits=_splits(place.folder, shards),
        filters={
            name: FilterEntry(version=version, n_dropped=report.n_dropped[name])
            for name, version in filter_versions().items()
        },
        settings=settings(config),
        label_policy=labels.describe(config.labels),
        plan_sha256=plan.sha256,
        tools=audio.tools(),
    )
    if not any(split.n_clips for split in manifest.splits.values()):
        raise DataError(f"no clip is left of {report.n_rows} rows: {report.reasons()}")
    report.note_emptied(manifest)
    place.write(REPORT_FILE, report.to_dict(manifest))
    place.write(MANIFEST_FILE, manifest.model_dump())
    files = [name for shard in shards for name in (shard.file, shard.index)]
    place.upload([*files, REPORT_FILE, MANIFEST_FILE])
    print(report.summary(manifest), flush=True)
    return manifest


def _splits(folder: Path, shards: list[ShardEntry]) -> dict[str, SplitEntry]:
    """Sum up the splits from their indexes, which hold the clips in id order."""
    names = dict.fromkeys(shard.split for shard in shards)
    return {name: _split([folder / s.index for s in shards if s.split == name]) for name in names}


def _split(indexes: Iterable[Path]) -> SplitEntry:
    digest, n_clips, seconds = hashlib.sha256(), 0, 0.0
    for index in indexes:
        with index.open("rb") as lines:
            for line in lines:
                clip = json.loads(line)
                digest.update(f"{clip['id']}\t{clip['audio_sha256']}\t{clip['text']}\n".encode())
                n_clips, seconds = n_clips + 1, seconds + clip["duration_s"]
    return SplitEntry(n_clips=n_clips, hours=round(seconds / 3600, 4), sha256=digest.hexdigest())
