"""The deadline and the stop flag of one running job, looked at between the steps of its work.

Threads cannot be killed and cannot use signals, so every wait of a job calls `check`.
"""

import time
from contextvars import ContextVar
from uuid import uuid4

from rq.timeouts import BaseDeathPenalty

from services.contract.errors import TranscriptionTimeoutError


class JobInterrupted(Exception):
    """The worker needs the job back in the queue: it stops, or runs a suspect alone."""


class JobLost(Exception):
    """The job is canceled, deleted, or another worker has it: nobody wants this run's result."""


class JobToken:
    """One run of a job. `execution_id` is the fence of everything that it writes."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self._deadline = float("inf")
        self._error: Exception | None = None

    def stop(self, error: Exception) -> None:
        """Make the next `check` raise; the first reason wins."""
        self._error = self._error or error

    def set_deadline(self, seconds: float | None) -> None:
        """Let `check` raise after so many seconds from now; None is never."""
        self._deadline = float("inf") if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise if the run must end.

        Raises:
            TranscriptionTimeoutError: it took longer than the duration of its audio allows.
            JobInterrupted, JobLost: as `stop` was told.
        """
        if self._error is not None:
            raise self._error
        if time.monotonic() > self._deadline:
            raise TranscriptionTimeoutError("the transcription took far too long and was stopped")


current_token: ContextVar[JobToken | None] = ContextVar("current_token", default=None)


def token_of_this_thread() -> JobToken:
    """Return the token that the worker made, or a free one under another kind of worker."""
    return current_token.get() or JobToken(uuid4().hex)


class CooperativeDeadline(BaseDeathPenalty):
    """RQ's job timeout as the token's deadline: no signal, no asynchronous exception."""

    def setup_death_penalty(self) -> None:
        """Start the clock."""
        token_of_this_thread().set_deadline(None if self._timeout < 0 else self._timeout)

    def cancel_death_penalty(self) -> None:
        """Stop the clock."""
        token_of_this_thread().set_deadline(None)
