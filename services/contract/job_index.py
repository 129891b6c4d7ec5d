"""Finding jobs: lists and counts from sorted sets that the scripts keep in step with every change,
and the job that an equal request made before.

A scope's set is ordered by creation time; equal times are ordered by id. A cursor names the last
job of a page by both, so jobs that come or go meanwhile never shift the next page.
"""

from dataclasses import dataclass
from typing import cast

from redis import Redis

from services.contract.errors import (
    BatchNotFoundError,
    ConcurrencyLimitError,
    InvalidRequestError,
)
from services.contract.job_record import (
    attach_key,
    batch_scope,
    from_fields,
    job_key,
    owner_scope,
)
from services.contract.redis_client import redis_errors, text
from services.contract.schema import Job, JobStatus, Seconds, TranscriptionOptions, utc_now

CONCURRENCY_RETRY_S = 5.0
#: Id and creation time in microseconds, as a sorted set gives them.
Row = tuple[bytes, float]


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first, and where the next page starts (None: this is the last)."""

    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True)
class BatchCounts:
    """How far a batch is."""

    name: str
    by_status: dict[JobStatus, int]
    audio_s: Seconds
    done_s: Seconds
    """Audio of ended jobs, and the finished part of running ones."""

    @property
    def n_jobs(self) -> int:
        """Number of jobs in the batch."""
        return sum(self.by_status.values())

    @property
    def progress(self) -> float:
        """Share of the batch's audio that is done, 0 to 1."""
        return min(1.0, self.done_s / self.audio_s) if self.audio_s else 1.0


class JobIndex:
    """The reading half of the job store; job_scripts.py writes the indexes."""

    def __init__(self, redis: Redis) -> None:
        """Keep the client."""
        self.redis = redis

    @redis_errors()
    def list_jobs(
        self,
        owner: str | None,
        *,
        status: JobStatus | None = None,
        batch: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """Return jobs, newest first; `owner` None lists all owners'.

        Raises:
            InvalidRequestError: the cursor is not one that an earlier page gave.
        """
        key = index_key(status, scope_of(owner, batch))
        rows = self._rows_after(key, limit + 1, cursor)
        next_cursor = cursor_of(rows[limit - 1]) if len(rows) > limit else None
        return JobPage(self._fetch(rows[:limit]), next_cursor)

    @redis_errors()
    def batch(self, owner: str, name: str) -> BatchCounts:
        """Count a batch; reads only its running jobs one by one.

        Raises:
            BatchNotFoundError: no job of this owner carries the name.
        """
        scope = batch_scope(owner, name)
        counts = self.count_by_status(scope)
        if not sum(counts.values()):
            raise BatchNotFoundError(f"There is no batch {name[:64]!r}.", param="name")
        sums = self.redis.hgetall(f"stt:audio_ms:{scope}")
        audio_ms = {text(k): int(v) for k, v in sums.items()}
        ended_ms = sum(ms for s, ms in audio_ms.items() if JobStatus(s).is_terminal)
        done_s = ended_ms / 1000 + self._running_done_s(scope)
        return BatchCounts(name, counts, sum(audio_ms.values()) / 1000, done_s)

    @redis_errors()
    def count_by_status(self, scope: str = "all") -> dict[JobStatus, int]:
        """Return how many jobs of a scope are in each state, in O(1)."""
        pipe = self.redis.pipeline(transaction=False)  # A full Redis refuses MULTI.
        for status in JobStatus:
            pipe.zcard(index_key(status, scope))
        return dict(zip(JobStatus, pipe.execute(), strict=True))

    @redis_errors()
    def find_attachable(
        self, owner: str, sha256: str, options: TranscriptionOptions, max_age_s: float
    ) -> Job | None:
        """Return the job that the same request made before, so that a client's resend joins it.

        It is under way, or succeeded not longer than `max_age_s` ago.
        """
        job_id = self.redis.get(attach_key(owner, sha256, options))
        fields = self.redis.hgetall(job_key(text(job_id))) if job_id else {}
        job = from_fields(fields) if fields else None
        return job if job is not None and is_attachable(job, max_age_s) else None

    def count_unfinished(self, owner: str) -> int:
        """Return how many jobs of an owner wait or run, in O(1)."""
        counts = self.count_by_status(owner_scope(owner))
        return sum(n for status, n in counts.items() if not status.is_terminal)

    def _rows_after(self, key: str, limit: int, cursor: str | None) -> list[Row]:
        """Return ids and times below the cursor, newest first.

        A read by score begins with all jobs of the cursor's own microsecond; those that the page
        before gave are skipped. One read of twice the limit covers all but a flood of equal times,
        which the loop covers.
        """
        if cursor is None:
            first: object = self.redis.zrevrange(key, 0, limit - 1, withscores=True)
            return cast(list[Row], first)
        score, last_id = parse_cursor(cursor)
        found: list[Row] = []
        offset, n_read = 0, 2 * limit
        while len(found) < limit and n_read == 2 * limit:
            reply: object = self.redis.zrevrangebyscore(
                key, score, "-inf", start=offset, num=2 * limit, withscores=True
            )
            rows = cast(list[Row], reply)
            found += [(i, s) for i, s in rows if s < score or text(i) < last_id]
            n_read = len(rows)
            offset += n_read
        return found[:limit]

    def _fetch(self, rows: list[Row]) -> list[Job]:
        """Read jobs in one round trip; one deleted meanwhile is left out."""
        pipe = self.redis.pipeline(transaction=False)
        for job_id, _ in rows:
            pipe.hgetall(job_key(text(job_id)))
        return [from_fields(fields) for fields in pipe.execute() if fields]

    def _running_done_s(self, scope: str) -> Seconds:
        """Sum the finished audio of a scope's running jobs: no more than workers have slots."""
        running = self.redis.zrange(index_key(JobStatus.PROCESSING, scope), 0, -1)
        pipe = self.redis.pipeline(transaction=False)
        for job_id in cast(list[bytes], running):
            pipe.hmget(job_key(text(job_id)), "progress", "audio_ms")
        figures = pipe.execute()
        return sum(float(share) * int(ms) / 1000 for share, ms in figures if share is not None)


def scope_of(owner: str | None, batch: str | None) -> str:
    """Name the narrowest scope that a filter asks for."""
    if owner is None:
        return "all"
    return owner_scope(owner) if batch is None else batch_scope(owner, batch)


def index_key(status: JobStatus | None, scope: str) -> str:
    """Name the sorted set of a scope's jobs in one state, or in any."""
    return f"stt:index:{status.value if status else 'any'}:{scope}"


def cursor_of(row: Row) -> str:
    """Name a place in a list."""
    job_id, created_us = row
    return f"{int(created_us)}-{text(job_id)}"


def parse_cursor(cursor: str) -> tuple[int, str]:
    """Return the time in microseconds and the id that a cursor names."""
    time, _, job_id = cursor.partition("-")
    if not (time.isascii() and time.isdigit() and len(time) < 20 and job_id):
        raise InvalidRequestError(
            "The cursor is not one that an earlier page gave.", param="cursor"
        )
    return int(time), job_id


def is_attachable(job: Job, max_age_s: float) -> bool:
    """Whether a resend may be answered with this job."""
    if job.status is JobStatus.SUCCEEDED and job.finished_at is not None:
        return (utc_now() - job.finished_at).total_seconds() <= max_age_s
    return not job.status.is_terminal


def too_many_unfinished(most: int) -> ConcurrencyLimitError:
    """Say that an owner has as many unfinished jobs as it may."""
    return ConcurrencyLimitError(
        f"This key has {most} unfinished jobs, as many as it may.",
        retry_after_s=CONCURRENCY_RETRY_S,
    )
