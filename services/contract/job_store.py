"""The truth about every job: one Redis hash each, its windows, its transcript, its indexes.

Status changes are compare-and-set; a worker's writes are fenced by its execution id, so that a
worker which lost its lease cannot touch what another one now does. RQ is the engine, not the
record. Every change and its event are one atomic step (job_scripts.py).
"""

from collections.abc import Iterable
from itertools import takewhile
from uuid import uuid4

from redis import Redis

from services.contract import job_scripts
from services.contract.errors import (
    IdempotencyConflictError,
    InternalError,
    JobNotCancelableError,
    JobNotFinishedError,
    JobNotFoundError,
    TranscriptExpiredError,
)
from services.contract.job_index import JobIndex, too_many_unfinished
from services.contract.job_record import (
    NO_ENTRY,
    QueueEntry,
    attach_key,
    claim_key,
    from_fields,
    from_reply,
    job_key,
    owner_scope,
    pack,
    to_arguments,
    transcript_key,
    unpack,
    windows_key,
)
from services.contract.redis_client import redis_errors, text
from services.contract.schema import (
    ErrorInfo,
    Job,
    JobStatus,
    Transcript,
    WindowResult,
    utc_now,
)

CLAIM_S = 24 * 3600  #: How long an Idempotency-Key stands for its job.
Args = list[str | bytes | float]
#: Readers of the event stream still fetch the last windows of a job that just ended.
WINDOWS_KEPT_S = 3600


def new_job_id() -> str:
    """Make an id that nobody can guess, of characters that RQ accepts."""
    return uuid4().hex


class JobStore(JobIndex):
    """Jobs in Redis: their records here, what finds them in the base.

    All methods raise QueueUnavailableError when Redis does not answer.
    """

    def __init__(
        self, redis: Redis, *, transcript_ttl_s: int, audio_ttl_s: int, max_unfinished: int = 0
    ) -> None:
        """Prepare the scripts; nothing is sent yet. `max_unfinished` is per owner, 0 no limit."""
        super().__init__(redis)
        self._max_unfinished = max_unfinished
        self.transcript_ttl_s = transcript_ttl_s
        self.audio_ttl_s = audio_ttl_s
        self._create = redis.register_script(job_scripts.CREATE)
        self._start = redis.register_script(job_scripts.START)
        self._add_window = redis.register_script(job_scripts.ADD_WINDOW)
        self._release = redis.register_script(job_scripts.RELEASE)
        self._end = redis.register_script(job_scripts.END)
        self._abandon = redis.register_script(job_scripts.ABANDON)
        self._delete = redis.register_script(job_scripts.DELETE)
        self._release_audio = redis.register_script(job_scripts.RELEASE_AUDIO)

    def create(self, job: Job, entry: QueueEntry = NO_ENTRY) -> None:
        """Record a new job and, with an entry (JobQueue.entry), put it into the queue, at once.

        Raises:
            ConcurrencyLimitError: the owner has as many unfinished jobs as it may.
            InternalError: the id belongs to another job.
        """
        self._record(job, entry)

    def create_or_join(self, job: Job, entry: QueueEntry = NO_ENTRY) -> str | None:
        """Create a job, or return the id of an unfinished one of the same owner, audio and options.

        Raises:
            ConcurrencyLimitError · InternalError: as `create`.
        """
        _, job_id = self._record(job, entry, joins=True)
        return None if job_id == job.id else job_id

    def create_once(
        self, job: Job, key: str, fingerprint: str, entry: QueueEntry = NO_ENTRY
    ) -> str | None:
        """Create a job, or return the id of the one that the Idempotency-Key made within 24 h.

        Args:
            fingerprint: hash of all that the request asks for.
            entry: as in `create`.
        Raises:
            IdempotencyConflictError: the key came before with another fingerprint.
            ConcurrencyLimitError · InternalError: as `create`.
        """
        found, job_id = self._record(job, entry, claim=(claim_key(job.owner, key), fingerprint))
        if found != fingerprint:
            raise IdempotencyConflictError(
                "This Idempotency-Key was used for another request; use a new one.",
                param="Idempotency-Key",
            )
        return None if job_id == job.id else job_id

    @redis_errors()
    def get(self, job_id: str, owner: str | None = None) -> Job:
        """Return a job; another owner's job does not exist. `owner` None sees all.

        Raises:
            JobNotFoundError: no such job for this owner.
        """
        fields = self.redis.hgetall(job_key(job_id))
        if not fields:
            raise not_found(job_id)
        job = from_fields(fields)
        if owner is not None and job.owner != owner:
            raise not_found(job_id)
        return job

    @redis_errors()
    def start(self, job_id: str, execution_id: str, bundle: str) -> Job | None:
        """Take the job for one worker run; None if it is ended, canceled or deleted.

        A run that held it before loses it: its later writes are refused.
        """
        reply = self._start(args=[job_id, execution_id, utc_now().isoformat(), bundle])
        return from_reply(reply) if reply else None

    @redis_errors()
    def add_window(
        self, job_id: str, execution_id: str, variant: str, window: WindowResult, progress: float
    ) -> bool:
        """Checkpoint one finished window; False if the run may no longer write.

        Args:
            variant: short hash of bundle and options. Windows of another variant are dropped.
            progress: share of the audio that is done, 0 to 1; it never goes back.
        """
        args: Args = [job_id, execution_id, variant, window.index, pack(window), progress]
        return bool(self._add_window(args=args))

    @redis_errors()
    def windows(self, job_id: str, variant: str | None = None) -> list[WindowResult]:
        """Return the finished windows by index; none if they are of another variant."""
        pipe = self.redis.pipeline(transaction=False)  # A full Redis refuses MULTI.
        pipe.hget(job_key(job_id), "variant")
        pipe.hvals(windows_key(job_id))
        stored, packed = pipe.execute()
        if variant is not None and (stored is None or text(stored) != variant):
            return []
        return sorted((unpack(WindowResult, p) for p in packed), key=lambda w: w.index)

    @redis_errors()
    def windows_from(self, job_id: str, first: int, limit: int = 64) -> list[WindowResult]:
        """Return at most `limit` finished windows from index `first` up to the first gap.

        What a live reader needs: it costs what is new, not what the job has in all.
        """
        packed = self.redis.hmget(windows_key(job_id), [str(first + i) for i in range(limit)])
        return [unpack(WindowResult, p) for p in takewhile(lambda p: p is not None, packed) if p]

    @redis_errors()
    def succeed(self, job_id: str, execution_id: str, transcript: Transcript) -> bool:
        """End the job with its transcript; False if the run may no longer write."""
        return self._finish(
            job_id, execution_id, JobStatus.SUCCEEDED, pack(transcript), ["progress", 1.0]
        )

    @redis_errors()
    def fail(self, job_id: str, execution_id: str | None, error: ErrorInfo) -> bool:
        """End the job with an error; without an execution id the fence is not asked."""
        fields: Args = ["error", error.model_dump_json()]
        return self._finish(job_id, execution_id or "", JobStatus.FAILED, b"", fields)

    @redis_errors()
    def release(self, job_id: str, execution_id: str) -> bool:
        """Hand an interrupted job back to the queue; False if the run does not hold it."""
        return bool(self._release(args=[job_id, execution_id]))

    @redis_errors()
    def abandon(self, job_id: str, execution_id: str | None = None) -> int:
        """Record that a worker died over the job, which waits again; return how many did.

        Args:
            execution_id: the run that died. If another one holds the job by now, nothing happens
                and the answer is 0: somebody else saw the death first.
        """
        return int(self._abandon(args=[job_id, execution_id or ""]))

    @redis_errors()
    def cancel(self, job_id: str) -> Job:
        """End a job that nobody wants; a canceled one stays as it is.

        Raises:
            JobNotFoundError: no such job.
            JobNotCancelableError: it has already ended.
        """
        if not self._finish(job_id, "", JobStatus.CANCELED, b"", []):
            status = self.get(job_id).status
            raise JobNotCancelableError(f"The job has already ended: it {status.value}.")
        return self.get(job_id)

    def is_canceled(self, job_id: str) -> bool:
        """Tell whether work on the job is pointless: canceled, or deleted."""
        return bool(self.canceled([job_id]))

    @redis_errors()
    def canceled(self, job_ids: Iterable[str]) -> set[str]:
        """Return which of the jobs are canceled or deleted, in one round trip."""
        asked = list(job_ids)
        pipe = self.redis.pipeline(transaction=False)
        for job_id in asked:
            pipe.hget(job_key(job_id), "status")
        return {
            job_id
            for job_id, status in zip(asked, pipe.execute(), strict=True)
            if status is None or text(status) == JobStatus.CANCELED
        }

    @redis_errors()
    def transcript(self, job_id: str) -> Transcript:
        """Return the result of a job.

        Raises:
            JobNotFoundError: no such job.
            JobNotFinishedError: it has no transcript, yet or ever.
            TranscriptExpiredError: the transcript's time to live is over.
        """
        packed = self.redis.get(transcript_key(job_id))
        if packed is not None:
            return unpack(Transcript, packed)
        status = self.get(job_id).status
        if status is JobStatus.SUCCEEDED:
            raise TranscriptExpiredError("The transcript is no longer kept; send the audio again.")
        raise JobNotFinishedError(f"The job has no transcript: it is {status.value}.")

    @redis_errors()
    def delete(self, job_id: str) -> Job:
        """Forget a job with its windows, transcript and index entries; return what it was.

        A recording that no other job uses is marked for deletion: `retention.erase` does the rest.

        Raises:
            JobNotFoundError: no such job.
        """
        reply = self._delete(args=[job_id])
        if not reply:
            raise not_found(job_id)
        return from_reply(reply)

    @redis_errors()
    def release_audio(self, job_id: str) -> None:
        """Let go of the recording of an ended job, which keeps its transcript."""
        self._release_audio(args=[job_id])

    @redis_errors()
    def _record(
        self, job: Job, entry: QueueEntry, *, joins: bool = False, claim: tuple[str, str] = ("", "")
    ) -> tuple[str, str]:
        attach = attach_key(job.owner, job.audio.sha256, job.options)
        head: Args = [job.id, attach, job.audio.key, "1" if joins else "", *claim, CLAIM_S]
        most: Args = [self._max_unfinished, owner_scope(job.owner)]
        found, job_id = self._create(args=[*head, *most, *entry.arguments(), *to_arguments(job)])
        if not job_id:
            full = too_many_unfinished(self._max_unfinished)
            raise full if found else InternalError(f"The job id {job.id} is taken.")
        return text(found), text(job_id)

    def _finish(
        self, job_id: str, execution_id: str, to: JobStatus, packed: bytes, fields: Args
    ) -> bool:
        now = utc_now()
        windows_ttl = min(WINDOWS_KEPT_S, self.transcript_ttl_s)
        head: Args = [job_id, execution_id, to, now.timestamp(), windows_ttl, self.transcript_ttl_s]
        args = [*head, packed, "finished_at", now.isoformat(), *fields]
        return bool(self._end(args=args))


def not_found(job_id: str) -> JobNotFoundError:
    """Say that there is no such job, without telling whose it may be."""
    return JobNotFoundError(f"There is no job {job_id[:64]!r}.", param="id")
