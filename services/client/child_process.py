"""Processes that `whisper-sv up` starts: they log to a file and never outlive it."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.contract.stop_signals import ends_with

#: The worker hands its jobs back within 10 s of SIGTERM.
STOP_TIMEOUT_S = 12.0
POLL_S = 0.05
MAX_LOG_BYTES = 20 * 1024**2


@dataclass(frozen=True)
class ChildPlan:
    """How to start one process."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]
    log_file: Path
    kept_files: tuple[int, ...] = ()
    """Descriptors that stay open in it: a lock that it must hold, say."""


class ChildProcess:
    """One running process, in a session of its own: Ctrl-C reaches only its parent."""

    def __init__(self, plan: ChildPlan) -> None:
        """Start it.

        Raises:
            OSError: the program or its log file cannot be opened.
        """
        self.plan = plan
        _keep_small(plan.log_file)
        with plan.log_file.open("ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                list(plan.command),
                env=dict(plan.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=plan.kept_files,
                # `up` has no threads when it starts a process, so that this is safe after fork.
                preexec_fn=ends_with(os.getpid()),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it: SIGTERM, and SIGKILL if it does not go in time."""
        if self.exit_status is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self, n_lines: int = 12) -> str:
        """Return the reason it gave for its end: its `error:` line, else the end of its log."""
        with self.plan.log_file.open("rb") as log:
            lines = _since(log, self._log_start)
        errors = [line for line in lines if line.startswith("error: ")]
        return errors[-1].removeprefix("error: ") if errors else "\n".join(lines[-n_lines:])


def _keep_small(log_file: Path) -> None:
    """Put a large log aside, in the place of the one before."""
    if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".old.log"))


def _since(log: BinaryIO, start: int) -> list[str]:
    log.seek(start)
    return log.read().decode(errors="replace").splitlines()


def wait_until(is_done: Callable[[], bool], timeout_s: float) -> bool:
    """Look often whether something has happened; False when the time is up."""
    give_up_at = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(POLL_S)
    return True
