"""True word times of training clips, where the corpus has them: synthetic speech does.

They say where timestamps belong in noise, and guide the attention of a model from random weights.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from services.contract.errors import DataError
from training.prepare.rows import clip_id
from training.prepare.shards import Clip

_SAME_LENGTH_S = 0.001
_SAME_END_S = 0.15


@dataclass(frozen=True, slots=True)
class SpokenTimes:
    """Seconds from the start of a prepared clip."""

    word_starts: tuple[float, ...]
    end: float
    """Of the last word."""


def read_spoken_times(path: Path, clips: Sequence[Clip]) -> dict[str, SpokenTimes]:
    """Read the times of clips and shift them to where prepare's trimming put the speech.

    Args:
        path: JSONL of {"path", "duration_s", "words": [{"word", "start", "end"}, ...]}, in
            seconds from the start of the clip as released.
        clips: those of which the shift is not certain are left out.
    Raises:
        DataError: the file cannot be read or a line is of another form.
    """
    wanted = {clip.id: clip for clip in clips}
    found: dict[str, SpokenTimes] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                row = _row(line, str(path), number)
                clip = wanted.get(clip_id(str(PurePosixPath(row["path"]))))
                shift_s = None if clip is None or not row["words"] else _shift_s(clip, row)
                if clip is not None and shift_s is not None:
                    starts = tuple(word["start"] + shift_s for word in row["words"])
                    found[clip.id] = SpokenTimes(starts, row["words"][-1]["end"] + shift_s)
    except OSError as error:
        raise DataError("cannot be read; give the file of word times", path=str(path)) from error
    return found


def _shift_s(clip: Clip, row: dict[str, Any]) -> float | None:
    """Return what to add to released times, None if that is not certain.

    An untrimmed clip has its times already. In a trimmed one speech starts where prepare heard it
    start, if it also ends where prepare heard it end; noise can hide either.
    """
    if abs(row["duration_s"] - clip.duration_s) < _SAME_LENGTH_S:
        return 0.0
    if clip.start_s is None or clip.end_s is None:
        return None
    shift_s = clip.start_s - float(row["words"][0]["start"])
    ends_alike = abs(row["words"][-1]["end"] + shift_s - clip.end_s) < _SAME_END_S
    return shift_s if ends_alike else None


def _row(line: str, path: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
        times = [float(word[key]) for word in row["words"] for key in ("start", "end")]
        return {**row, "path": str(row["path"]), "duration_s": float(row["duration_s"])} | (
            {} if times else {"words": []}
        )
    except (ValueError, KeyError, TypeError) as error:
        reason = 'not {"path", "duration_s", "words": [{"word", "start", "end"}, ...]}'
        raise DataError(reason, path=path, line=number) from error
