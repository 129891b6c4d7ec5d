import pytest
from redis import Redis
from rq.executions import Execution
from rq.job import JobStatus as RqStatus

from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore, new_job_id
from services.contract.schema import (
    AudioRef,
    Job,
    JobStatus,
    Lane,
    TranscriptionOptions,
    utc_now,
)
from services.worker import sweeper as sweeper_module
from services.worker.runs import TranscriptionJob
from services.worker.sweeper import Sweeper

LEASE_S = 60.0


class Clock:
    """Time that passes only when a test says so; stands in for the module `time`."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._set_ahead_s = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self._passed_s

    def time(self) -> float:
        return 1_800_000_000.0 + self._passed_s + self._set_ahead_s

    def wait(self, seconds: float) -> None:
        self._passed_s += seconds

    def set_ahead(self, seconds: float) -> None:
        """As where a laptop was opened again."""
        self._set_ahead_s += seconds


class Hall:
    """A queue with jobs whose workers are gone."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.redis = redis
        self.clock = clock
        self.store = JobStore(redis, transcript_ttl_s=3600, audio_ttl_s=3600)
        self.queue = JobQueue(redis)
        self.lane = self.queue.queues[Lane.BULK]
        self.sweeper = self.new_sweeper()

    def new_sweeper(self) -> Sweeper:
        queues = self.queue.queues.values()
        return Sweeper(self.redis, queues, self.store, lease_s=LEASE_S, max_restarts=3)

    def send(self) -> str:
        job = Job(
            id=new_job_id(),
            owner="public",
            status=JobStatus.QUEUED,
            audio=AudioRef(key="k", sha256="0" * 64, n_bytes=1, duration=1.0),
            options=TranscriptionOptions(),
            lane=Lane.BULK,
            created_at=utc_now(),
        )
        self.store.create(job)
        self.queue.enqueue(job)
        return job.id

    def pop(self) -> str:
        """Claim the next job as a worker does, and stop there."""
        moved = self.redis.lmove(self.lane.key, self.lane.intermediate_queue.key)
        assert isinstance(moved, bytes)
        return moved.decode()

    def claim(self, ttl: float = -1.0) -> Execution:
        """Claim the next job for a run, as yet without starting it; its lease ends in `ttl` s."""
        job = self.queue.fetch(self.pop())
        with self.redis.pipeline() as pipeline:
            execution = Execution.create(job, 60, pipeline=pipeline, worker_name="gone")
            pipeline.execute()
        entry = {execution.composite_key: self.clock.time() + ttl}
        self.redis.zadd(self.lane.started_job_registry.key, entry)
        self.lane.intermediate_queue.remove(job.id)
        return execution

    def start(self, ttl: float = -1.0) -> str:
        """Claim and start the next job; its lease ends in `ttl` seconds."""
        execution = self.claim(ttl)
        job_id: str = execution.job_id
        self.queue.fetch(job_id).set_status(RqStatus.STARTED)
        self.store.start(job_id, execution.id, "tiny@1")
        return job_id

    def waiting(self) -> list[str]:
        return [raw.decode() for raw in self.redis.lrange(self.lane.key, 0, -1)]


@pytest.fixture
def hall(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> Hall:
    clock = Clock()
    monkeypatch.setattr(sweeper_module, "time", clock)
    made = Hall(redis_client, clock)
    clock.wait(LEASE_S * 1.2)  # a new worker sweeps nothing for one lease
    return made


def test_an_abandoned_job_goes_to_the_front_without_a_retry(hall: Hall) -> None:
    first, second = hall.send(), hall.send()
    retries = hall.queue.fetch(first).retries_left
    assert hall.start() == first
    hall.sweeper.sweep()
    assert hall.waiting() == [first, second]
    assert hall.store.get(first).status is JobStatus.QUEUED
    assert hall.store.get(first).abandoned == 1
    assert hall.queue.fetch(first).retries_left == retries
    assert hall.queue.fetch(first).get_status() == RqStatus.QUEUED
    assert hall.queue.started_ids() == set()
    assert hall.redis.keys("rq:*execution*") == []


def test_sweepers_that_find_the_same_job_requeue_it_once(hall: Hall) -> None:
    job_id = hall.send()
    hall.start()
    sweepers = [hall.sweeper, hall.new_sweeper(), hall.new_sweeper()]
    found = [sweeper._expired(hall.lane) for sweeper in sweepers]
    assert [len(entries) for entries in found] == [1, 1, 1]
    for sweeper, (entry,) in zip(sweepers, found, strict=True):
        sweeper._abandoned(hall.lane, entry)
    assert hall.waiting() == [job_id]
    assert hall.store.get(job_id).abandoned == 1


def test_a_live_job_is_left_alone(hall: Hall) -> None:
    hall.send()
    job_id = hall.start(ttl=60)
    hall.sweeper.sweep()
    assert hall.waiting() == [] and hall.queue.started_ids() == {job_id}


def test_nobody_sweeps_for_a_lease_after_an_outage(hall: Hall) -> None:
    job_id = hall.send()
    hall.start()
    hall.sweeper.redis_failed()
    hall.sweeper.sweep()
    assert hall.waiting() == []
    hall.clock.wait(LEASE_S * 1.2)
    hall.sweeper.sweep()
    assert hall.waiting() == [job_id]


def test_a_pause_of_redis_counts_as_an_outage(hall: Hall) -> None:
    hall.send()
    hall.start()
    hall.sweeper.redis_answered()  # the last answer was longer ago than a third of the lease
    hall.sweeper.sweep()
    assert hall.waiting() == []


def test_nobody_sweeps_for_a_lease_after_the_clock_jumped(hall: Hall) -> None:
    job_id = hall.send()
    hall.start(ttl=60)
    hall.clock.set_ahead(7200)
    hall.sweeper.sweep()
    assert hall.waiting() == []
    hall.clock.wait(LEASE_S * 1.2)
    hall.sweeper.sweep()
    assert hall.waiting() == [job_id]


def test_a_new_worker_sweeps_nothing_at_first(hall: Hall) -> None:
    hall.send()
    hall.start()
    hall.new_sweeper().sweep()
    assert hall.waiting() == []


def test_a_job_that_was_popped_and_never_started_comes_back(hall: Hall) -> None:
    first, second = hall.send(), hall.send()
    assert hall.pop() == first
    hall.sweeper.sweep()
    assert hall.waiting() == [second], "it may be about to start"
    hall.clock.wait(LEASE_S * 1.2)
    hall.sweeper.sweep()
    assert hall.waiting() == [first, second]
    assert hall.store.get(first).abandoned == 0
    assert hall.lane.intermediate_queue.get_job_ids() == []


def test_a_job_that_was_claimed_and_never_started_comes_back(hall: Hall) -> None:
    first, second = hall.send(), hall.send()
    assert hall.claim().job_id == first
    hall.sweeper.sweep()
    assert hall.waiting() == [first, second]
    assert hall.store.get(first).abandoned == 0
    assert hall.queue.started_ids() == set()


def test_a_deleted_job_leaves_the_intermediate_list(hall: Hall) -> None:
    job_id = hall.send()
    hall.pop()
    hall.queue.delete(job_id)
    hall.sweeper.sweep()
    hall.clock.wait(LEASE_S * 1.2)
    hall.sweeper.sweep()
    assert hall.waiting() == [] and hall.lane.intermediate_queue.get_job_ids() == []


def abandon_again(hall: Hall) -> None:
    hall.start()
    hall.sweeper.sweep()


def test_the_second_death_alone_is_poison(hall: Hall) -> None:
    job_id = hall.send()
    abandon_again(hall)
    hall.sweeper.mark_alone(job_id)
    abandon_again(hall)
    job = hall.store.get(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None and job.error.code == "poisonous_audio"


def test_deaths_in_company_are_counted_to_the_limit(hall: Hall) -> None:
    job_id = hall.send()
    for _ in range(2):
        abandon_again(hall)
    assert hall.store.get(job_id).status is JobStatus.QUEUED
    abandon_again(hall)
    error = hall.store.get(job_id).error
    assert error is not None and error.code == "worker_lost"


def test_a_job_that_came_through_alone_is_no_suspect_of_poison(hall: Hall) -> None:
    job_id = hall.send()
    hall.sweeper.mark_alone(job_id)
    hall.sweeper.clear_alone(job_id)
    for _ in range(2):
        abandon_again(hall)
    assert hall.store.get(job_id).status is JobStatus.QUEUED


def test_only_our_task_may_run(hall: Hall) -> None:
    hall.lane.enqueue("os.getcwd", job_id="evil")
    evil = TranscriptionJob.fetch("evil", hall.redis, hall.lane.serializer)
    with pytest.raises(PermissionError, match="os.getcwd"):
        _ = evil.func
    ours = TranscriptionJob.fetch(hall.send(), hall.redis, hall.lane.serializer)
    assert ours.func.__name__ == "transcribe"
