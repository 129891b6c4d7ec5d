"""Copies of checkpoints at an fsspec URL, for machines that lose their disk.

A copy is complete once its COMPLETE file is there, which is uploaded last. What the run was begun
with lies beside the copies, so that a fresh machine resumes nothing else and still compares its
result with the start. Copies are made by one background thread, so that training does not wait; a
copy that fails is reported and the next one tries again.
"""

import logging
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec

from services.contract.errors import CheckpointError
from training.storage import STORAGE_ERRORS
from training.train import checkpoints
from training.train.fingerprint import BASELINE, FINGERPRINT

logger = logging.getLogger(__name__)
_BEGINNINGS = (FINGERPRINT, BASELINE)
# NotImplementedError: a store that can only be read, such as http.
_UNUSABLE: tuple[type[Exception], ...] = (*STORAGE_ERRORS, NotImplementedError)


class RemoteCheckpoints:
    """The copies of one run.

    Args:
        url: folder, such as s3://bucket/run or gs://bucket/run; made if missing.
        n_last: how many copies of regular checkpoints stay, beside the best and the newest.
        is_regular: tells which are.
    Raises:
        CheckpointError: the URL cannot be used.
    """

    def __init__(self, url: str, n_last: int, is_regular: checkpoints.IsRegular) -> None:
        try:
            self._filesystem, self._root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ValueError, ImportError) as error:
            raise CheckpointError(f"train.remote: {url} cannot be used: {error}") from error
        self._n_last = n_last
        self._is_regular = is_regular
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint-copy")
        self._copying: Future[None] | None = None

    def copy(self, checkpoint: Path) -> None:
        """Start to copy a complete checkpoint; waits for the copy before it."""
        self.wait()
        self._copying = self._thread.submit(self._copy, checkpoint)

    def wait(self) -> None:
        """Wait until the copy under way has ended, and report how."""
        if self._copying is None:
            return
        error = self._copying.exception()
        self._copying = None
        if error is not None:
            logger.error("checkpoint not copied to %s: %s", self._root, error)

    def close(self) -> None:
        """Finish the last copy and end the thread."""
        self.wait()
        self._thread.shutdown()

    def fetch(self, folder: Path) -> None:
        """Bring the complete copies here if one is newer than what is here, that one last.

        The end chooses among all of them, and may average the last. And what the run was begun
        with, where the folder above does not say.

        Raises:
            CheckpointError: the store cannot be read or written.
        """
        here = checkpoints.newest_complete(folder)
        try:
            self._check_writable()
            there = self._complete()
            if there:
                self._fetch_beginnings(folder.parent)
            if there and (here is None or there[-1] > checkpoints.step_of(here)):
                here_too = {
                    checkpoints.step_of(p) for p in checkpoints.complete_checkpoints(folder)
                }
                for step in there:
                    if step not in here_too:
                        self._fetch_copy(step, folder)
        except _UNUSABLE as error:
            raise CheckpointError(f"train.remote: {self._root} cannot be used: {error}") from error

    def _check_writable(self) -> None:
        """Write and remove a small file: copies that all fail would be missed when it is late."""
        self._filesystem.makedirs(self._root, exist_ok=True)
        self._filesystem.pipe_file(f"{self._root}/.writable", b"yes")
        self._filesystem.rm_file(f"{self._root}/.writable")

    def _fetch_beginnings(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        for name in _BEGINNINGS:
            if self._filesystem.exists(f"{self._root}/{name}") and not (run_dir / name).exists():
                partial = run_dir / f"{name}.part"
                self._filesystem.get_file(f"{self._root}/{name}", str(partial))
                partial.rename(run_dir / name)

    def _fetch_copy(self, step: int, folder: Path) -> None:
        target = folder / f"{checkpoints.PREFIX}{step}"
        shutil.rmtree(target, ignore_errors=True)
        partial = target.with_name(f"fetching-{step}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in self._names(step):
            self._filesystem.get_file(f"{self._path(step)}/{name}", str(partial / name))
        partial.rename(target)
        if not checkpoints.is_complete(target):
            raise CheckpointError(f"the copy of {target.name} at {self._root} is damaged")

    def _copy(self, checkpoint: Path) -> None:
        step = checkpoints.step_of(checkpoint)
        self._filesystem.makedirs(self._path(step), exist_ok=True)
        for name in _BEGINNINGS:
            if (beginning := checkpoint.parents[1] / name).exists():
                self._filesystem.put_file(str(beginning), f"{self._root}/{name}")
        names = sorted(file.name for file in checkpoint.iterdir() if file.is_file())
        names.sort(key=lambda name: name == checkpoints.MARKER)  # the marker goes last
        for name in names:
            self._filesystem.put_file(str(checkpoint / name), f"{self._path(step)}/{name}")
        self._prune(checkpoint.parent)

    def _prune(self, folder: Path) -> None:
        """Delete old copies, markers first: a half-deleted copy must not look complete."""
        best = checkpoints.best(checkpoints.complete_checkpoints(folder))
        complete = self._complete()
        kept = checkpoints.steps_to_keep(complete, best, self._n_last, self._is_regular)
        for step in complete:
            if step not in kept:
                self._filesystem.rm_file(f"{self._path(step)}/{checkpoints.MARKER}")
                self._filesystem.rm(self._path(step), recursive=True)

    def _complete(self) -> list[int]:
        """List the steps of complete copies, oldest first."""
        self._filesystem.invalidate_cache()
        if not self._filesystem.exists(self._root):
            return []
        names = [str(path).rsplit("/", 1)[-1] for path in self._entries(self._root)]
        steps = [name.removeprefix(checkpoints.PREFIX) for name in names]
        found = [int(step) for step in steps if step.isdigit()]
        return sorted(step for step in found if checkpoints.MARKER in self._names(step))

    def _names(self, step: int) -> list[str]:
        return [str(path).rsplit("/", 1)[-1] for path in self._entries(self._path(step))]

    def _entries(self, path: str) -> list[Any]:
        entries: list[Any] = self._filesystem.ls(path, detail=False)
        return entries

    def _path(self, step: int) -> str:
        return f"{self._root}/{checkpoints.PREFIX}{step}"
