"""Calls that wait for their transcript, and what becomes of the job when they hang up.

A job made by a waiting call is marked in Redis while somebody waits. A call that disconnects leaves
its job running for a grace period, since clients drop and send again: the next try attaches to it.
If nobody has come back by then, the job is canceled. The mark makes this right over several API
processes: whoever waits keeps it alive.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import to_thread
from redis import Redis

from services.contract.errors import (
    JobNotCancelableError,
    JobNotFoundError,
    QueueUnavailableError,
    TranscriptionTimeoutError,
)
from services.contract.events import EventReader, Subscription
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import redis_errors
from services.contract.schema import Job, Seconds

logger = logging.getLogger(__name__)

#: Events wake a waiting call; this slow look is the safety net when one is lost.
POLL_S = 5.0
#: A mark outlives every job.
MARK_TTL_S = 24 * 3600


class Waiters:
    """Waits for jobs, and cancels those that nobody waits for any more."""

    def __init__(
        self, redis: Redis, jobs: JobStore, queue: JobQueue, events: EventReader, grace_s: float
    ) -> None:
        """Keep where to look."""
        self._redis = redis
        self._jobs = jobs
        self._queue = queue
        self._events = events
        self._grace_s = grace_s
        self._checks: set[asyncio.Task[None]] = set()

    async def ended(self, job_id: str, timeout_s: float) -> Job:
        """Return the job once it has ended.

        Raises:
            TranscriptionTimeoutError: it takes longer than this call may wait; the job goes on.
            JobNotFoundError: it was deleted.
        """
        async with self._events.subscribe(job_id) as events:
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        job = await self._look(job_id)
                        if job is not None and job.status.is_terminal:
                            return job
                        await next_change(events, POLL_S)
            except TimeoutError as error:
                raise TranscriptionTimeoutError(
                    f"The transcript takes longer than {timeout_s:g} s; it goes on as job "
                    f"{job_id}: GET /v1/jobs/{job_id}."
                ) from error

    async def _look(self, job_id: str) -> Job | None:
        """Read the job; None while Redis does not answer: it may be back before the job's end."""
        try:
            return await to_thread.run_sync(self._jobs.get, job_id)
        except QueueUnavailableError:
            return None

    @redis_errors()
    def take(self, job_id: str, *, is_new: bool) -> bool:
        """Mark the job as waited for; return whether it lives by its waiting calls. Sync.

        Args:
            is_new: a waiting call made the job just now. One that POST /v1/jobs made has no mark:
                attaching to it never leads to its cancellation.
        """
        is_ours = is_new or bool(self._redis.exists(mark_key(job_id)))
        if is_ours:
            self._redis.set(mark_key(job_id), time.time(), ex=MARK_TTL_S)
        return is_ours

    @asynccontextmanager
    async def waiting(self, job_id: str, *, is_ours: bool) -> AsyncIterator[None]:
        """Wait in the block; leaving it by an error or a cancellation starts the grace period.

        A call that has waited as long as it may is told where the job goes on: it is nobody's then.
        """
        keeper = asyncio.create_task(self._keep_mark(job_id)) if is_ours else None
        try:
            yield
        except TranscriptionTimeoutError:
            with suppress(QueueUnavailableError):
                await to_thread.run_sync(self._release, job_id)
            raise
        except BaseException:
            if is_ours:
                with anyio.CancelScope(shield=True):
                    await self._leave(job_id)
            raise
        finally:
            if keeper is not None:
                keeper.cancel()

    async def close(self) -> None:
        """Drop the pending checks: the jobs of a process that stops run on."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def _keep_mark(self, job_id: str) -> None:
        while True:
            await asyncio.sleep(max(0.1, self._grace_s / 3))
            with suppress(QueueUnavailableError):
                await to_thread.run_sync(self._renew, job_id)

    async def _leave(self, job_id: str) -> None:
        with suppress(QueueUnavailableError):
            await to_thread.run_sync(self._renew, job_id)
        check = asyncio.create_task(self._cancel_if_unwanted(job_id))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    async def _cancel_if_unwanted(self, job_id: str) -> None:
        """Look again as long as the mark is fresh: the last renewal of the call that left may come
        after it, and another call may leave by the death of its process."""
        left_s = self._grace_s
        with suppress(QueueUnavailableError, JobNotFoundError, JobNotCancelableError):
            while left_s > 0:
                await asyncio.sleep(left_s)
                waited_s_ago = await to_thread.run_sync(self._waited_s_ago, job_id)
                if waited_s_ago is None:
                    return
                left_s = self._grace_s - waited_s_ago
            await to_thread.run_sync(self._jobs.cancel, job_id)
            await to_thread.run_sync(self._queue.cancel, job_id)
            logger.info("canceled a job that nobody waits for", extra={"job_id": job_id})

    @redis_errors()
    def _renew(self, job_id: str) -> None:
        self._redis.set(mark_key(job_id), time.time(), ex=MARK_TTL_S, xx=True)

    @redis_errors()
    def _release(self, job_id: str) -> None:
        self._redis.delete(mark_key(job_id))

    @redis_errors()
    def _waited_s_ago(self, job_id: str) -> Seconds | None:
        """Return None for a job that lives without anybody waiting."""
        marked_at = self._redis.get(mark_key(job_id))
        return None if marked_at is None else time.time() - float(marked_at)


def mark_key(job_id: str) -> str:
    """Name the mark of a job that waiting calls made."""
    return f"stt:waited:{job_id}"


async def next_change(events: Subscription, within_s: Seconds) -> bool:
    """Return once something happened to the job; False if nothing did for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await anext(aiter(events))
            return True
    return False
