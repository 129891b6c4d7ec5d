"""Checkpoint folders: complete or not there.

A folder counts once its COMPLETE file lists every other file with its size. The marker is written
last, by rename, after the files are on disk. A folder without it, or that does not match it, is set
aside as `*.broken` and deleted once the run has a complete checkpoint as new as that.

Regular checkpoints are those that every run saves. One that a run saved only because it was stopped
is there to go on from: were it averaged, or counted among the last, a run that was stopped would
end with other weights than one that was not.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from services.contract.errors import CheckpointError

logger = logging.getLogger(__name__)

MARKER = "COMPLETE"
EVALUATION = "evaluation.json"
PREFIX = "checkpoint-"
_BROKEN = ".broken"

IsRegular = Callable[[int], bool]
"""Tells by its step whether a checkpoint is a regular one."""


def step_of(checkpoint: Path) -> int:
    """Return the optimiser step that a checkpoint folder was saved after."""
    return int(checkpoint.name.removeprefix(PREFIX))


def mark_complete(checkpoint: Path) -> None:
    """Flush a checkpoint to disk and declare it complete.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    try:
        sizes = {file.name: _flush(file) for file in sorted(checkpoint.iterdir()) if file.is_file()}
        partial = checkpoint / f"{MARKER}.part"
        partial.write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        _flush(partial)
        partial.rename(checkpoint / MARKER)
    except OSError as error:
        raise CheckpointError(
            f"{checkpoint} cannot be completed: {error.strerror}; free some space and resume"
        ) from error


def is_complete(checkpoint: Path) -> bool:
    """Tell whether all files of a checkpoint are there with the size they were written with."""
    try:
        sizes = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def complete_checkpoints(folder: Path) -> list[Path]:
    """List the complete checkpoints of a run, oldest first; others are left alone."""
    found = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit()]
    return sorted((path for path in found if is_complete(path)), key=step_of)


def newest_complete(folder: Path) -> Path | None:
    """Return the checkpoint to resume from, and set aside newer ones that are not complete."""
    complete = complete_checkpoints(folder)
    for path in folder.glob(f"{PREFIX}*"):
        if path.name.removeprefix(PREFIX).isdigit() and path not in complete:
            _set_aside(path)
    return complete[-1] if complete else None


def keep(folder: Path, n_last: int, is_regular: IsRegular) -> None:
    """Delete all checkpoints but those that `steps_to_keep` names.

    What was set aside goes too once it is caught up with: it may be gigabytes, and a full disk is
    what leaves checkpoints half-written.
    """
    complete = complete_checkpoints(folder)
    kept = steps_to_keep([step_of(path) for path in complete], best(complete), n_last, is_regular)
    for checkpoint in complete:
        if step_of(checkpoint) not in kept:
            (checkpoint / MARKER).unlink()
            shutil.rmtree(checkpoint)
    for broken in folder.glob(f"{PREFIX}*{_BROKEN}"):
        if complete and step_of(broken.with_suffix("")) <= step_of(complete[-1]):
            shutil.rmtree(broken)


def steps_to_keep(
    steps: Sequence[int], best: Path | None, n_last: int, is_regular: IsRegular
) -> set[int]:
    """Choose the last `n_last` regular ones, the best, and the newest of any kind.

    Args:
        steps: of the complete checkpoints, oldest first.
        best: the one with the lowest dev WER, if any was evaluated.
    """
    regular = [step for step in steps if is_regular(step)]
    rated = [] if best is None else [step_of(best)]
    return {*regular[-n_last:], *steps[-1:], *rated}


def last(folder: Path, n_last: int, is_regular: IsRegular) -> list[Path]:
    """Return the last regular checkpoints that are complete, oldest first."""
    complete = complete_checkpoints(folder)
    return [path for path in complete if is_regular(step_of(path))][-n_last:]


def best(checkpoints: list[Path]) -> Path | None:
    """Return the one with the lowest dev WER, the newest of equals; None without any."""
    rated = [(word_error_rate(path), -step_of(path), path) for path in checkpoints]
    return min(
        ((wer, order, path) for wer, order, path in rated if wer is not None), default=(0, 0, None)
    )[2]


def word_error_rate(checkpoint: Path) -> float | None:
    """Read the dev WER that was written beside a checkpoint; None if it was not evaluated."""
    try:
        return float(json.loads((checkpoint / EVALUATION).read_text(encoding="utf-8"))["wer"])
    except (OSError, ValueError, KeyError):
        return None


def _set_aside(checkpoint: Path) -> None:
    target = checkpoint.with_name(checkpoint.name + _BROKEN)
    if target.exists():
        shutil.rmtree(target)
    checkpoint.rename(target)
    logger.warning("%s is incomplete and was set aside as %s", checkpoint, target.name)


def _flush(path: Path) -> int:
    """Wait until a file is on disk; return its size."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
