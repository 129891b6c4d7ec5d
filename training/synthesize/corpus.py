"""Text to a speech corpus in Common Voice's layout.

    OUT/sv-SE/{train,dev,test,validated}.tsv   Common Voice's columns
    OUT/sv-SE/clip_durations.tsv               clip, duration in ms
    OUT/sv-SE/word_times.jsonl                 where each word is heard
    OUT/sv-SE/clips/                           the audio
    OUT/records/                               records of a run, so that it can be continued

The tables are written last: a folder with tables is a whole corpus.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from services.contract.errors import DataError, OutputError
from training.progress import track
from training.synthesize.batches import Batch, cut, read_records, speak_all
from training.synthesize.config import SynthesizeConfig
from training.synthesize.plan import SPLITS, ClipPlan, plan

COLUMNS = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents "
    "variant locale segment"
).split()
_RECORDS = "records"


def synthesize(config: SynthesizeConfig, out_dir: Path) -> None:
    """Speak the corpus of the config into a folder.

    Args:
        out_dir: made if missing; a corpus of the same config that is there is continued.
    Raises:
        DataError: espeak-ng, the word list or the text is missing or too small, or the folder
            holds another corpus.
        OutputError: the folder cannot be written.
    """
    clips = plan(config)
    try:
        _claim(out_dir, config, clips)
        batches = cut(clips, out_dir / config.locale / "clips", out_dir / _RECORDS)
        for _ in track(speak_all(batches, config), len(batches), "speaking, in batches"):
            pass
        _write_tables(out_dir / config.locale, config, clips, batches)
    except OSError as error:
        raise OutputError(f"cannot write the corpus to {out_dir}: {error}") from error


def _claim(out_dir: Path, config: SynthesizeConfig, clips: Sequence[ClipPlan]) -> None:
    """Make the folders, and refuse to mix two corpora in one."""
    digest = sha256(config.model_dump_json(exclude={"n_processes"}).encode())
    for clip in clips:
        digest.update(repr(clip).encode())
    mark = out_dir / _RECORDS / "plan.sha256"
    if mark.exists() and mark.read_text() != digest.hexdigest():
        raise DataError(
            "holds another corpus: delete it or choose another folder", path=str(out_dir)
        )
    for folder in (mark.parent, out_dir / config.locale / "clips"):
        folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest.hexdigest())


def _write_tables(
    locale_dir: Path, config: SynthesizeConfig, clips: Sequence[ClipPlan], batches: list[Batch]
) -> None:
    rows = [_row(clip, config) for clip in clips]
    records = list(read_records(batches))
    times = (json.dumps(record, ensure_ascii=False) for record in records)
    (locale_dir / "word_times.jsonl").write_text("\n".join(times) + "\n", encoding="utf-8")
    durations = [(r["path"], str(round(1000 * r["duration_s"]))) for r in records]
    _write_tsv(locale_dir / "clip_durations.tsv", ("clip", "duration[ms]"), durations)
    for split in SPLITS:
        mine = [row for row, clip in zip(rows, clips, strict=True) if clip.split == split]
        _write_tsv(locale_dir / f"{split}.tsv", COLUMNS, mine)
    _write_tsv(locale_dir / "validated.tsv", COLUMNS, rows)


def _row(clip: ClipPlan, config: SynthesizeConfig) -> list[str]:
    values = {
        "client_id": clip.speaker.client_id,
        "path": f"{clip.name}.{config.audio_format}",
        "sentence_id": clip.sentence_id,
        "sentence": clip.sentence.text,
        "sentence_domain": clip.sentence.domain,
        "up_votes": "2",
        "down_votes": "0",
        "variant": clip.speaker.manner.voice,
        "locale": config.locale,
    }
    return [values.get(column, "") for column in COLUMNS]


def _write_tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write beside and rename; no quoting, as in Common Voice's own tables."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        )
        writer.writerow(header)
        writer.writerows(rows)
    unfinished.replace(path)
