"""One run of `whisper-sv transcribe`: many recordings at once, each to files of its own.

A run that was broken off is picked up by the same command: transcripts that are there are kept,
and a job that still runs is found again by its idempotency key.
"""

import errno
import hashlib
import json
import logging
import os
import queue
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.client import error_answers
from services.client.answers import JobAnswer
from services.client.client import Client, JobRequest
from services.client.file_names import shown
from services.client.progress_view import ProgressView
from services.client.recordings import Recording, changed_at, refuse_overwriting, sha256, undone
from services.contract.errors import (
    AudioExpiredError,
    BusyError,
    InternalError,
    InvalidApiKeyError,
    InvalidOptionsError,
    InvalidRequestError,
    PromptTooLongError,
    ServiceError,
    SttError,
    TranscriptionError,
    UnsupportedLanguageError,
    UnsupportedTaskError,
)
from services.contract.schema import JobStatus, TranscriptFormat

logger = logging.getLogger(__name__)

Targets = Mapping[Recording, Mapping[TranscriptFormat, Path | None]]
#: What is wrong with the service, the key, or the options that all recordings share.
GENERAL = (
    ServiceError,
    InvalidApiKeyError,
    InvalidOptionsError,
    UnsupportedLanguageError,
    UnsupportedTaskError,
    PromptTooLongError,
)
#: Why no file at all can be written: the disk is full, or not to be written to.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
Waiting = queue.SimpleQueue[Recording]


@dataclass(frozen=True)
class Failure:
    """A recording without transcript, and why."""

    recording: Recording
    error: SttError

    @property
    def is_general(self) -> bool:
        """Whether every other recording would fail in the same way."""
        cause = self.error.__cause__
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            return True
        return isinstance(self.error, GENERAL) and not isinstance(self.error, InternalError)


#: What a thread has done with a recording; None when it stops.
Ended = queue.SimpleQueue[Recording | Failure | None]


@dataclass
class Outcome:
    """What a run came to."""

    n_done: int = 0
    n_skipped: int = 0
    n_left: int = 0
    """Not transcribed, for the reason in `stopped_by`."""
    failures: list[Failure] = field(default_factory=list)
    stopped_by: SttError | None = None
    """What every recording would have failed with."""


@dataclass(frozen=True)
class Run:
    """One run over many recordings."""

    client: Client
    request: JobRequest
    targets: Targets
    view: ProgressView
    concurrency: int
    force: bool = False
    """Transcribe also what has been transcribed, and write over files that are there."""

    def run(self) -> Outcome:
        """Transcribe everything that is not done yet; stop early only if all would fail."""
        outcome = Outcome()
        todo = [recording for recording in self.targets if self._wanted(recording)]
        outcome.n_skipped = len(self.targets) - len(todo)
        self.view.begin(len(todo), outcome.n_skipped)
        waiting: Waiting = queue.SimpleQueue()
        for recording in todo:
            waiting.put(recording)
        ended: Ended = queue.SimpleQueue()
        n_threads = min(self.concurrency, len(todo))
        for _ in range(n_threads):
            # Daemons: Ctrl-C must not wait for a transcript that takes another hour.
            threading.Thread(target=self._work, args=(waiting, ended), daemon=True).start()
        while n_threads:
            result = ended.get()
            if result is None:
                n_threads -= 1
            else:
                self._note(result, outcome)
        outcome.n_left += waiting.qsize()
        return outcome

    def _note(self, result: Recording | Failure, outcome: Outcome) -> None:
        if isinstance(result, Failure) and result.is_general:
            outcome.stopped_by = outcome.stopped_by or result.error
            outcome.n_left += 1
        elif isinstance(result, Failure):
            outcome.failures.append(result)
            self.view.failed(shown(result.recording.name), result.error.message)
        else:
            outcome.n_done += 1
            self.view.done(shown(result.name))

    def _work(self, waiting: Waiting, ended: Ended) -> None:
        """Take recordings until there are no more, or a failure would be that of all."""
        failure: Failure | None = None
        while failure is None or not failure.is_general:
            try:
                recording = waiting.get_nowait()
            except queue.Empty:
                break
            try:
                self._transcribe(recording)
                ended.put(recording)
            except SttError as error:
                failure = Failure(recording, error)
                ended.put(failure)
            except Exception as error:  # the thread's outermost loop: the run must not wait for it
                logger.exception("a recording met a defect")
                defect = InternalError(f"A defect of ours: {type(error).__name__}: {error}")
                ended.put(Failure(recording, defect))
        ended.put(None)

    def _wanted(self, recording: Recording) -> Mapping[TranscriptFormat, Path | None]:
        targets = self.targets[recording]
        return targets if self.force else undone(recording, targets)

    def _transcribe(self, recording: Recording) -> None:
        name, began_at = shown(recording.name), changed_at(recording)
        wanted = self._wanted(recording)
        if not self.force:
            refuse_overwriting(wanted.values())
        job = self._sent(recording)
        for event in self.client.events(job.id):
            if event.job is not None:
                place = event.job.queue_position
                ahead = "" if place is None else f", number {place}"
                self.view.update(name, event.job.status + ahead, event.job.progress)
        job = self.client.job(job.id)
        if job.status is not JobStatus.SUCCEEDED:
            if job.error is None:
                raise TranscriptionError(f"The job was {job.status.value}.")
            raise error_answers.of_job(job.error)
        if changed_at(recording) not in (began_at, None):
            # A transcript that is newer than its recording would count as done for ever.
            raise InvalidRequestError("It changed while it was transcribed; start the run again")
        for form, target in wanted.items():
            deliver(self.client.transcript(job.id, form), target)

    def _sent(self, recording: Recording) -> JobAnswer:
        """Return a recording's job, made now or in an earlier run; wait while there is no room."""
        name = shown(recording.name)
        while True:
            self.view.update(name, "uploading", 0.0)
            try:
                return self._send(recording)
            except BusyError as error:
                self.view.update(name, "waiting for room in the queue", 0.0)
                time.sleep(error.retry_after_s)

    def _send(self, recording: Recording) -> JobAnswer:
        path, name = recording.path, recording.path.name
        key = str(uuid.uuid4()) if self.force else idempotency_key(recording, self.request)
        job = self.client.submit(path, self.request, filename=name, idempotency_key=key)
        while job.status in (JobStatus.FAILED, JobStatus.CANCELED):
            # The key found an earlier run's job; another finds what a run after that made of it.
            again = f"{key}-{job.id}"
            try:
                job = self.client.retry(job.id, self.request, idempotency_key=again)
            except AudioExpiredError:
                sent = f"{again}-sent"
                job = self.client.submit(path, self.request, filename=name, idempotency_key=sent)
        return job


def idempotency_key(recording: Recording, request: JobRequest) -> str:
    """Return a key that names this audio with these options, whoever sends it and when."""
    fields = json.dumps([sha256(recording.path), recording.path.name, request.fields()])
    return "transcribe-" + hashlib.sha256(fields.encode()).hexdigest()


def deliver(text: str, target: Path | None) -> None:
    """Write a transcript to its file, or print it.

    Raises:
        InvalidRequestError: there is nowhere to write to.
    """
    if target is not None:
        write_whole(target, text)
        return
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except OSError as error:
        # What is still buffered has nowhere to go; the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InvalidRequestError(f"Cannot print the transcript: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for transcripts, before any are made in vain.

    Raises:
        InvalidRequestError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidRequestError(f"Cannot write to {folder}: {error.strerror}") from error


def write_whole(target: Path, text: str) -> None:
    """Write a file so that it is complete or not there.

    Raises:
        InvalidRequestError: the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not named after the target, whose name may be as long as names can be. Not a file of
        # tempfile, which nobody else may read: who may read transcripts is for the umask to say.
        temporary = target.with_name(f".whisper-sv-{uuid.uuid4().hex}")
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidRequestError(f"Cannot write {target}: {error.strerror}") from error


def summary(outcome: Outcome) -> Sequence[str]:
    """Say in a few lines what a run came to."""
    lines = [f"{outcome.n_done} transcribed, {outcome.n_skipped} already done"]
    if outcome.failures:
        lines[0] += f", {len(outcome.failures)} failed"
    lines += [
        f"  {shown(str(failure.recording.path))}: {failure.error.message}"
        for failure in outcome.failures
    ]
    if outcome.stopped_by is not None:
        lines += [
            f"Stopped with {outcome.n_left} left; the same command goes on once this is mended:",
            f"  {outcome.stopped_by.message}",
        ]
    return lines
