"""From a request with a recording to a job in the queue: the way that all uploads take.

Admission and key are checked before the body is read; the recording is stored and looked at
before a job exists; if anything fails on the way, nothing of it stays, unless a job may yet come
of it.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Generic

from anyio import to_thread
from fastapi import Request

from services.api.options import Fields, parse, unknown_names
from services.api.service import Service
from services.api.uploads import Upload, uploaded
from services.api.wav_header import wav_duration
from services.contract.errors import (
    AudioTooLongError,
    InvalidRequestError,
    QueueSilentError,
    SttError,
)
from services.contract.job_record import QueueEntry
from services.contract.schema import (
    AudioRef,
    Job,
    JobStatus,
    Lane,
    Seconds,
    TranscriptionOptions,
    utc_now,
)

#: A finished job answers the same request for this long: clients that time out send again.
ATTACH_S = 600.0
MAX_IDEMPOTENCY_KEY_CHARS = 255


@dataclass(frozen=True)
class Recording(Generic[Fields]):
    """An upload that is audio, with its request's fields."""

    upload: Upload
    fields: Fields
    duration: Seconds
    ignored: list[str]
    """Names of fields that were sent and not read."""

    def job(self, order: "Order") -> Job:
        """Make the recording durable and describe the job that will own it. Sync.

        The job has the recording's key as its id: one name that nobody can guess is enough.
        """
        audio = AudioRef(
            key=self.upload.key,
            sha256=self.upload.commit(),
            n_bytes=self.upload.n_bytes,
            duration=self.duration,
            filename=getattr(self.fields, "filename", None) or self.upload.filename,
            content_type=self.upload.content_type,
        )
        return order.job(self.upload.key, audio)


@dataclass(frozen=True)
class Order:
    """What is to be done with a recording, and for whom."""

    owner: str
    options: TranscriptionOptions
    lane: Lane
    request_id: str
    batch: str | None = None

    def job(self, job_id: str, audio: AudioRef) -> Job:
        """Describe a job that does not exist yet."""
        return Job(
            id=job_id,
            owner=self.owner,
            status=JobStatus.QUEUED,
            audio=audio,
            options=self.options,
            lane=self.lane,
            batch=self.batch,
            created_at=utc_now(),
            request_id=self.request_id,
        )


@dataclass(frozen=True)
class Accepted:
    """The job that a request led to."""

    job: Job
    is_new: bool
    lives_by_waiting: bool = False
    """Only waiting calls want it: nobody waiting means nobody needs it."""


@asynccontextmanager
async def recording(
    request: Request,
    service: Service,
    owner: str,
    kind: type[Fields],
    *,
    allow_raw: bool = False,
    may_exist: bool = False,
) -> AsyncIterator[Recording[Fields]]:
    """Receive, read and look at a recording; deleted on leaving unless a job took it.

    Args:
        allow_raw: whether a body may be the recording itself.
        may_exist: whether the request may turn out to have its job already.
    Raises:
        BusyError: too many jobs or requests.
        RequestError: the upload or one of its fields is not acceptable.
        ServiceError: store or Redis do not work.
    """
    await service.limits.admit(owner, may_exist=may_exist)
    async with uploaded(request, service.store, service.settings, allow_raw=allow_raw) as upload:
        fields = parse(kind, upload.pairs)
        names = unknown_names(kind, upload.pairs)
        duration = wav_duration(bytes(upload.head), upload.n_bytes)
        if duration is None:
            await to_thread.run_sync(upload.commit)
            duration = await service.probe.duration(upload.key, upload.n_bytes)
        most = service.settings.max_audio_s
        if duration > most:
            raise AudioTooLongError(
                f"The recording lasts {duration:.0f} s; at most {most} s are accepted.",
                param="file",
            )
        yield Recording(upload, fields, duration, names)


@contextmanager
def kept(upload: Upload) -> Iterator[None]:
    """Keep a recording while a job is made of it, and if nobody knows whether it was made.

    A Redis that hung makes the job when it goes on, of a request that was given up or canceled, and
    one that crashed may have made it before; its recording must be there. If there is no such job,
    the sweep deletes the recording.
    """
    upload.is_kept = True
    try:
        yield
    except Exception as error:
        upload.is_kept = isinstance(error, QueueSilentError)
        raise


def submit(
    service: Service, job: Job, idempotency_key: str | None = None, *, retried: str = ""
) -> Accepted:
    """Queue a job unless its Idempotency-Key made one before. Sync: call it in a thread.

    Args:
        retried: id of the job that it does again, if any.
    Raises:
        IdempotencyConflictError: the key came with another request.
        InvalidRequestError: the key is too long.
    """
    if idempotency_key is None:
        return _submitted(service, job, service.jobs.create)
    if not 0 < len(idempotency_key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise InvalidRequestError(
            f"Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters.",
            param="Idempotency-Key",
        )

    def create(job: Job, entry: QueueEntry) -> str | None:
        asked = fingerprint(job) + retried
        return service.jobs.create_once(job, idempotency_key, asked, entry)

    return _submitted(service, job, create)


def _submitted(
    service: Service, job: Job, create: Callable[[Job, QueueEntry], str | None]
) -> Accepted:
    """Let a job be created, unless there is one already, whose id `create` returns; count it."""
    service.metrics.follow(job.id, job.lane.value, job.audio.duration)
    try:
        earlier = create(job, service.queue.entry(job))
    except SttError:
        service.metrics.forget(job.id)
        raise
    if earlier is not None:
        service.metrics.forget(job.id)
        return Accepted(service.jobs.get(earlier, job.owner), is_new=False)
    service.metrics.accepted(job.lane.value, job.audio.n_bytes, job.audio.duration)
    return Accepted(job, is_new=True)


def submit_or_attach(service: Service, received: Recording[Fields], order: Order) -> Accepted:
    """Join the job that the same request made before, or submit a new one, to wait for it. Sync."""
    with kept(received.upload):
        job = received.job(order)
        same = service.jobs.find_attachable(job.owner, job.audio.sha256, job.options, ATTACH_S)
        # A finished job answers for the model that made it: another one is asked anew.
        if same is not None and same.status.is_terminal and not service.models.serves(same.bundle):
            same = None
        if same is not None:
            accepted = Accepted(same, is_new=False)
        else:  # The same request may be on its way at this moment: its first try that was given up.
            accepted = _submitted(service, job, service.jobs.create_or_join)
    # At once: should Redis go away now, the job that it has needs its recording.
    received.upload.is_kept = accepted.is_new
    waited = service.waiters.take(accepted.job.id, is_new=accepted.is_new)
    return Accepted(accepted.job, accepted.is_new, lives_by_waiting=waited)


def submit_once(
    service: Service, received: Recording[Fields], order: Order, idempotency_key: str | None
) -> Accepted:
    """Submit the job of an upload, which is kept if the job is new. Sync. Raises as `submit`."""
    with kept(received.upload):
        accepted = submit(service, received.job(order), idempotency_key)
    received.upload.is_kept = accepted.is_new
    return accepted


def fingerprint(job: Job) -> str:
    """Return a hash of all that a request asked for."""
    asked = [job.audio.sha256, job.options.model_dump_json(), job.batch or "", job.lane.value]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()
