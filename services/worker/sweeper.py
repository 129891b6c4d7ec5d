"""Gives back what dead workers held: quickly, exactly once, and never punishing the living.

RQ's own clean-up takes a minute, can fail healthy jobs and can enqueue one twice. This one works by
small atomic scripts, so any number of workers may sweep at the same time. A job goes to the front
of its queue without using up a retry.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

from redis import Redis
from rq.intermediate_queue import IntermediateQueue
from rq.queue import Queue

from services.contract.errors import PoisonousAudioError, SttError, WorkerLostError
from services.contract.job_store import JobStore
from services.contract.redis_client import text
from services.contract.schema import ErrorInfo

logger = logging.getLogger(__name__)

#: KEYS: started registry, queue, intermediate list, RQ's job. ARGV: registry entry, job id,
#: execution id, prefix of RQ's keys -> 1 for the one caller that may decide on the job.
_TAKE_BACK = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('LREM', KEYS[3], 0, ARGV[2])
local worker = redis.call('HGET', ARGV[4] .. ':execution:' .. ARGV[1], 'worker_name')
if worker then redis.call('SREM', ARGV[4] .. ':worker:' .. worker .. ':executions', ARGV[1]) end
redis.call('DEL', ARGV[4] .. ':execution:' .. ARGV[1])
redis.call('ZREM', ARGV[4] .. ':executions:' .. ARGV[2], ARGV[3])
local status = redis.call('HGET', KEYS[4], 'status')
-- 'queued': its worker died, or Redis was full, between its claim and its start
if status ~= 'started' and status ~= 'queued' then return 0 end
redis.call('LREM', KEYS[2], 0, ARGV[2])
redis.call('HSET', KEYS[4], 'status', 'queued')
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
"""

#: KEYS: as above. ARGV: job id -> 1 when it waits again.
_RESCUE = """
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(entry, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then return 0 end
end
if redis.call('LREM', KEYS[3], 0, ARGV[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
redis.call('HSET', KEYS[4], 'status', 'queued')
redis.call('LPUSH', KEYS[2], ARGV[1])
return 1
"""


class Sweeper:
    """Looks at the queues' registries; one per worker."""

    def __init__(
        self,
        redis: Redis,
        queues: Iterable[Queue],
        store: JobStore,
        *,
        lease_s: float,
        max_restarts: int,
    ) -> None:
        self._redis = redis
        self._queues = list(queues)
        self._store = store
        self._lease_s = lease_s
        self._max_restarts = max_restarts
        self._take_back = redis.register_script(_TAKE_BACK)
        self._rescue = redis.register_script(_RESCUE)
        self._popped_since: Mapping[str, float] = {}
        self._alive_at = time.monotonic()
        self._quiet_until = self._alive_at + lease_s
        self._is_away = False
        self._clock_ahead_s = time.time() - time.monotonic()

    def redis_answered(self) -> None:
        """Note that Redis is there. After a pause nobody sweeps for one lease: the others could
        not renew theirs either, and come first."""
        now = time.monotonic()
        if now - self._alive_at > self._lease_s / 3:
            self.redis_failed()
        self._alive_at = now
        self._is_away = False

    def redis_failed(self) -> bool:
        """Note that Redis did not answer; return whether it did the time before."""
        self._quiet_until = time.monotonic() + self._lease_s
        was_away, self._is_away = self._is_away, True
        return not was_away

    def sweep(self) -> None:
        """Requeue abandoned jobs, or fail those that have taken too many workers down."""
        if self._clock_jumped():
            self._quiet_until = time.monotonic() + self._lease_s
        if time.monotonic() < self._quiet_until:
            return
        for queue in self._queues:
            for entry in self._expired(queue):
                self._abandoned(queue, entry)
        self._rescue_popped()

    def give_back(self, queue: Queue, job_id: str, execution_id: str) -> None:
        """Put a job that runs here back to the front of its queue."""
        entry = f"{job_id}:{execution_id}"
        args = [entry, job_id, execution_id, _prefix(queue)]
        self._take_back(keys=self._keys(queue, job_id), args=args)

    def mark_alone(self, job_id: str) -> None:
        """Note that a suspect runs with nothing else in flight."""
        self._redis.set(_alone_key(job_id), "1", ex=24 * 3600)

    def clear_alone(self, job_id: str) -> None:
        """Note that it came through."""
        self._redis.delete(_alone_key(job_id))

    def _clock_jumped(self) -> bool:
        """Whether the clock was set, or the machine slept, since the last look: all leases are
        over by it, also those of the living."""
        before, self._clock_ahead_s = self._clock_ahead_s, time.time() - time.monotonic()
        return abs(self._clock_ahead_s - before) > self._lease_s / 3

    def _expired(self, queue: Queue) -> list[str]:
        key = queue.started_job_registry.key
        found = self._redis.zrangebyscore(key, "-inf", time.time())
        return [text(entry) for entry in cast(list[bytes], found)]

    def _abandoned(self, queue: Queue, entry: str) -> None:
        job_id, _, execution_id = entry.partition(":")
        n_deaths = self._store.abandon(job_id, execution_id)
        verdict = self._verdict(job_id, n_deaths)
        if verdict is not None:
            self._store.fail(job_id, None, ErrorInfo(code=verdict.code, message=verdict.message))
        args = [entry, job_id, execution_id, _prefix(queue)]
        is_taken = self._take_back(keys=self._keys(queue, job_id), args=args)
        if is_taken and n_deaths:  # else the run had ended, and its lease alone was left
            what = "requeued at the front" if verdict is None else verdict.code
            logger.warning("a worker died: %s", what, extra={"job_id": job_id, "deaths": n_deaths})

    def _verdict(self, job_id: str, n_deaths: int) -> SttError | None:
        """Decide what a worker's death says about the job that it held."""
        if n_deaths > 1 and self._redis.exists(_alone_key(job_id)):
            return PoisonousAudioError(
                "this recording took a worker down twice, the second time alone; "
                "convert it to wav or flac and send it again"
            )
        if n_deaths >= self._max_restarts:
            return WorkerLostError(
                f"workers died {n_deaths} times while they held the job; send it again"
            )
        return None

    def _rescue_popped(self) -> None:
        """Requeue jobs that were popped a lease ago and never started."""
        now = time.monotonic()
        popped: dict[str, float] = {}
        for queue in self._queues:
            key = IntermediateQueue.get_intermediate_queue_key(queue.key)
            for raw in cast(list[bytes], self._redis.lrange(key, 0, -1)):
                job_id = text(raw)
                since = popped.setdefault(job_id, self._popped_since.get(job_id, now))
                if now - since > self._lease_s:
                    self._rescue(keys=self._keys(queue, job_id), args=[job_id])
        self._popped_since = popped

    def _keys(self, queue: Queue, job_id: str) -> list[Any]:
        intermediate = IntermediateQueue.get_intermediate_queue_key(queue.key)
        job_key = queue.job_class.key_for(job_id)
        return [queue.started_job_registry.key, queue.key, intermediate, job_key]


def _alone_key(job_id: str) -> str:
    return f"stt:alone:{job_id}"


def _prefix(queue: Queue) -> str:
    """RQ's key prefix: `rq` in `rq:queue:interactive`."""
    return str(queue.key).partition(":queue:")[0]
