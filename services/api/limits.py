"""What may come in: rate and concurrency per key, and the bound of the queue."""

import math
import time

from anyio import to_thread
from redis import Redis

from services.contract.errors import QueueFullError, RateLimitError
from services.contract.job_index import too_many_unfinished
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import redis_errors
from services.contract.settings import ApiSettings

WINDOW_S = 60
#: How long a look at the queue's length is good for.
DEPTH_FRESH_S = 1.0
#: When a place in a full queue may be free, if nothing better is known.
QUEUE_RETRY_S = 10.0


class Limits:
    """Refuses requests that would create a job too many."""

    def __init__(
        self, settings: ApiSettings, redis: Redis, jobs: JobStore, queue: JobQueue
    ) -> None:
        """Keep the limits and where to count."""
        self._settings = settings
        self._redis = redis
        self._jobs = jobs
        self._queue = queue
        self._has_limits = bool(settings.rate_limit_per_minute or settings.concurrency_limit)
        self._n_waiting = 0
        self._looked_at = -math.inf

    async def admit(self, owner: str, *, may_exist: bool = False) -> None:
        """Let one more job in, before a byte of its body is read.

        A request that may have its job already, as one that is sent again has, is not refused for
        unfinished jobs, of which that is one: whether it needs another is seen at its creation.

        What waited a moment ago plus what this process added since is an upper bound: while that
        is far from the limit, an upload needs no round trip before its first byte.

        Raises: as `check`.
        """
        is_fresh = time.monotonic() - self._looked_at < DEPTH_FRESH_S
        if self._has_limits or not is_fresh or self._n_waiting >= self._settings.queue_limit / 2:
            await to_thread.run_sync(self.check, owner, may_exist)
        self._n_waiting += 1

    def check(self, owner: str, may_exist: bool) -> None:
        """Ask Redis whether one more job may come in. Sync.

        Raises:
            ConcurrencyLimitError: the key has too many unfinished jobs.
            QueueFullError: too many jobs wait.
            RateLimitError: the key created too many in this minute.
        """
        most = self._settings.concurrency_limit
        if most and not may_exist and self._jobs.count_unfinished(owner) >= most:
            raise too_many_unfinished(most)
        self._n_waiting = sum(self._queue.depth().values())
        self._looked_at = time.monotonic()
        if self._n_waiting >= self._settings.queue_limit:
            raise QueueFullError(
                f"{self._settings.queue_limit} jobs wait already; try again later.",
                retry_after_s=QUEUE_RETRY_S,
            )
        # Last, for it counts: what makes no job because of another limit must not use this one up.
        self._check_rate(owner)

    @redis_errors()
    def _check_rate(self, owner: str) -> None:
        most = self._settings.rate_limit_per_minute
        if not most:
            return
        now = time.time()
        pipe = self._redis.pipeline()
        key = f"stt:rate:{owner}:{int(now // WINDOW_S)}"
        pipe.incr(key)
        pipe.expire(key, 2 * WINDOW_S)
        if pipe.execute()[0] > most:
            raise RateLimitError(
                f"This key may create {most} jobs per minute.",
                retry_after_s=WINDOW_S - now % WINDOW_S,
            )
