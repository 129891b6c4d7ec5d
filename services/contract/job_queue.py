"""The two queues over RQ: what waits, in which order, who works on it, how long it may take.

RQ carries job ids only. The record is in the job store.
"""

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry

from services.contract.job_record import QueueEntry
from services.contract.redis_client import redis_errors, text
from services.contract.rq_record import TASK, RqRecord, terms
from services.contract.schema import Job, JobStatus, Lane, Seconds
from services.contract.workers import LEASE_S, WorkerInfo, Workers


class JobQueue:
    """The queues. Methods raise QueueUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        """Name the queues; nothing is sent yet."""
        self.redis = redis
        self._workers = Workers(redis)
        self.queues = {
            lane: Queue(lane.value, connection=redis, serializer=JSONSerializer) for lane in Lane
        }
        self._records = {lane: RqRecord(queue) for lane, queue in self.queues.items()}

    def entry(self, job: Job) -> QueueEntry:
        """Return what RQ's own enqueueing would write, for the job store to write with its record.

        One step in place of two: a process that dies can leave no job that waits nowhere, and an
        upload costs one round trip.
        """
        queue = self.queues[job.lane]
        fields = self._records[job.lane].fields(job)
        plain = [part for pair in fields.items() for part in pair]
        return QueueEntry(queue.redis_queues_keys, queue.key, self.record_key(job.id), plain)

    @redis_errors()
    def enqueue(self, job: Job) -> None:
        """Put a recorded job at the end of its lane; a second call changes nothing."""
        queue = self.queues[job.lane]
        try:
            queue.enqueue_job(
                queue.create_job(TASK, **terms(job.id, job.audio.duration)), unique=True
            )
        except DuplicateJobError:
            # Job ids are ours alone: it is this job, sent twice by the client's own retry.
            return

    @redis_errors()
    def depth(self) -> dict[Lane, int]:
        """Return how many jobs wait in each lane."""
        pipe = self.redis.pipeline(transaction=False)
        for lane in Lane:
            pipe.llen(self.queues[lane].key)
        return dict(zip(Lane, pipe.execute(), strict=True))

    def full(self, limit: int) -> bool:
        """Tell whether so many jobs wait that no more may come."""
        return sum(self.depth().values()) >= limit

    @redis_errors()
    def waiting_audio_s(self) -> Seconds:
        """Return how much audio waits in both lanes, in O(1)."""
        waiting_ms = self.redis.hget("stt:audio_ms:all", JobStatus.QUEUED.value)
        return int(waiting_ms or 0) / 1000

    @redis_errors()
    def position(self, job: Job) -> int | None:
        """Return the place in the queue, 1 for the next one; None if it does not wait.

        The interactive lane goes first. The lists are as short as STT_QUEUE_LIMIT.
        """
        place = self.redis.lpos(self.queues[job.lane].key, job.id)
        if not isinstance(place, int):
            return None
        ahead = 0 if job.lane is Lane.INTERACTIVE else self.depth()[Lane.INTERACTIVE]
        return ahead + place + 1

    @redis_errors()
    def estimate(self, job: Job, real_time_factor: float | None = None) -> Seconds | None:
        """Return the seconds until the job is done; None if nothing is known yet.

        Args:
            real_time_factor: processing time per audio time of one worker; None takes the
                recent one that workers reported.
        """
        factor = real_time_factor or self._workers.real_time_factor()
        if job.status.is_terminal:
            return 0.0
        if factor is None:
            return None
        own_s = job.audio.duration * (1 - job.progress) * factor
        position = self.position(job)
        if position is None:
            return own_s
        share = (position - 1) / max(1, sum(self.depth().values()))
        ahead_s = self.waiting_audio_s() * share * factor
        return own_s + ahead_s / max(1, len(self._workers.alive()))

    @redis_errors()
    def cancel(self, job_id: str) -> bool:
        """Take a waiting job out of the queue; False if it does not wait (a worker has it)."""
        pipe = self.redis.pipeline(transaction=False)
        for queue in self.queues.values():
            pipe.lrem(queue.key, 1, job_id)
        was_waiting = any(pipe.execute())
        if was_waiting:
            self.delete(job_id)
        return was_waiting

    @redis_errors()
    def delete(self, job_id: str) -> None:
        """Remove every trace of a job from RQ: hash, results, executions, registries, lists."""
        try:
            self._forget(self.fetch(job_id))
        except NoSuchJobError:
            return
        finally:
            for queue in self.queues.values():
                self.redis.lrem(queue.key, 0, job_id)

    @redis_errors()
    def forget_ended(self) -> None:
        """Take those jobs and workers from RQ's lists whose own records have expired.

        RQ's workers do that in their main loop, and ours has another one.
        """
        for queue in self.queues.values():
            queue.finished_job_registry.cleanup()
            queue.failed_job_registry.cleanup()
            clean_worker_registry(queue)

    def _forget(self, rq_job: RqJob) -> None:
        try:
            rq_job.delete()
        except ValueError:  # a run expired whose worker is gone, and RQ still lists it
            self.redis.delete(rq_job.execution_registry.key)
            rq_job.delete()

    def report_worker(self, info: WorkerInfo, lease_s: float = LEASE_S) -> None:
        """Say that a worker is alive for `lease_s` more seconds."""
        self._workers.report(info, lease_s)

    def retire_worker(self, name: str) -> None:
        """Say that a worker has stopped."""
        self._workers.retire(name)

    def workers_alive(self) -> list[WorkerInfo]:
        """Return the workers whose lease holds, by name."""
        return self._workers.alive()

    def report_real_time_factor(self, factor: float) -> None:
        """Add one figure: seconds a worker was busy per second of audio it finished."""
        self._workers.report_real_time_factor(factor)

    def real_time_factor(self) -> float | None:
        """Return the recent real-time factor of one worker, if any was reported in a day."""
        return self._workers.real_time_factor()

    def record_key(self, job_id: str) -> str:
        """Name RQ's own record of a job."""
        return text(RqJob.key_for(job_id))

    @redis_errors()
    def contains(self, job_id: str) -> bool:
        """Tell whether RQ knows the job, waiting or running."""
        return bool(self.redis.exists(self.record_key(job_id)))

    def fetch(self, job_id: str) -> RqJob:
        """Return RQ's own record. Raises rq.exceptions.NoSuchJobError."""
        return RqJob.fetch(job_id, connection=self.redis, serializer=JSONSerializer)

    @redis_errors()
    def waiting_ids(self) -> set[str]:
        """Return the jobs that wait in a lane, or that a worker has just taken from it."""
        pipe = self.redis.pipeline(transaction=False)  # A full Redis refuses MULTI.
        for queue in self.queues.values():
            pipe.lrange(queue.key, 0, -1)
            pipe.lrange(queue.intermediate_queue.key, 0, -1)
        return {text(job_id) for job_ids in pipe.execute() for job_id in job_ids}

    @redis_errors()
    def started_ids(self) -> set[str]:
        """Return the jobs that workers hold, without RQ's unlocked clean-up."""
        found: set[str] = set()
        for queue in self.queues.values():
            rows = self.redis.zrange(queue.started_job_registry.key, 0, -1)
            found |= {text(row).split(":")[0] for row in rows}  # type: ignore[arg-type]
        return found
