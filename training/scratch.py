"""Folders for what only one step needs, beside its result: converted weights may be gigabytes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_LOCK = ".lock"


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder and remove it at the end, and first those that killed processes left.

    Args:
        parent: an existing folder on the disk of the result, so that a rename can bring it there.
        prefix: of the name; tells the uses apart.
    """
    for left in parent.glob(f"{prefix}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (folder / _LOCK).open("w") as lock:
            _is_ours(lock)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("a") as lock:
            left = _is_ours(lock)
    except OSError:  # gone by now, or not ours to write
        return
    if left:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(lock: TextIO) -> bool:
    """Take a lock that ends with its process; False if another one has it, or none can be had."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
