"""Speaks a plan batch by batch, every batch in a process of its own, several at a time.

A fresh process, because espeak-ng's sound depends on all it has said before. A batch leaves
one file of records when all its clips are written; a batch that has left its file is done.
"""

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from services.contract.errors import DataError
from training.prepare.parallel import live_with_parent
from training.synthesize.clip import MadeClip, make
from training.synthesize.config import SynthesizeConfig
from training.synthesize.plan import ClipPlan

_BATCH_CLIPS = 250


@dataclass(frozen=True)
class Batch:
    """Clips that one process speaks in order, and where they and their records go."""

    clips: Sequence[ClipPlan]
    clips_dir: Path
    records: Path


def cut(clips: Sequence[ClipPlan], clips_dir: Path, records_dir: Path) -> list[Batch]:
    """Cut the plan into batches."""
    starts = range(0, len(clips), _BATCH_CLIPS)
    return [
        Batch(clips[i : i + _BATCH_CLIPS], clips_dir, records_dir / f"{i:08d}.jsonl")
        for i in starts
    ]


def speak_all(batches: Sequence[Batch], config: SynthesizeConfig) -> Iterator[None]:
    """Speak every batch that is not done; yield once for each batch.

    Raises:
        DataError: see clip.make, or a process died.
        OSError: a file cannot be written.
    """
    todo = [batch for batch in batches if not batch.records.exists()]
    yield from (None for _ in range(len(batches) - len(todo)))
    threads = ThreadPoolExecutor(config.n_processes or os.cpu_count() or 1)
    try:
        for done in as_completed([threads.submit(_in_fresh_process, b, config) for b in todo]):
            done.result()
            yield None
    finally:
        threads.shutdown(cancel_futures=True)


def _in_fresh_process(batch: Batch, config: SynthesizeConfig) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    # A Ctrl-C of its own would be lost in a callback of espeak-ng, and a block of sound with it.
    with ProcessPoolExecutor(1, context, initializer=live_with_parent) as process:
        try:
            process.submit(speak, batch, config).result()
        except BrokenProcessPool as error:
            raise DataError("a speaking process died: run the same command again") from error


def speak(batch: Batch, config: SynthesizeConfig) -> None:
    """Write the clips of one batch, then its records; to be called in a fresh process.

    Raises:
        DataError: see clip.make.
        OSError: a file cannot be written.
    """
    write = partial(_write_clip, config=config, clips_dir=batch.clips_dir)
    lines = [json.dumps(write(clip), ensure_ascii=False) for clip in batch.clips]
    unfinished = batch.records.with_suffix(".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.replace(batch.records)


def _write_clip(plan: ClipPlan, config: SynthesizeConfig, clips_dir: Path) -> dict[str, Any]:
    name = f"{plan.name}.{config.audio_format}"
    made: MadeClip = make(plan, config, clips_dir / name)
    return {"path": name} | asdict(made)


def read_records(batches: Sequence[Batch]) -> Iterator[dict[str, Any]]:
    """Yield `path`, `duration_s` and `words` of every clip, in the order of the plan."""
    for batch in batches:
        for line in batch.records.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
