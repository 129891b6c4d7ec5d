"""Jobs that the record calls unfinished and the queue no longer knows."""

import time

import pytest
from rq.job import JobStatus as RqStatus

from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.lost_jobs import MOST_DEATHS, requeue_lost
from services.contract.schema import Job, JobStatus
from tests.contract.builders import make_job, window


def recorded(store: JobStore) -> Job:
    """Create a job that is in no queue."""
    store.create(job := make_job())
    return job


def test_job_that_never_reached_the_queue_is_enqueued_by_the_second_sweep(
    store: JobStore, queue: JobQueue
) -> None:
    job, known = recorded(store), recorded(store)
    queue.enqueue(known)
    assert [requeue_lost(store, queue) for _ in range(3)] == [0, 1, 0]
    assert queue.position(job) == 2


def test_running_job_that_rq_forgot_waits_again_with_its_windows(
    store: JobStore, queue: JobQueue
) -> None:
    job = recorded(store)
    store.start(job.id, "r", "m")
    store.add_window(job.id, "r", "v", window(0), 0.5)
    for _ in range(2):
        requeue_lost(store, queue)
    assert store.get(job.id).status is JobStatus.QUEUED
    assert len(store.windows(job.id, "v")) == 1
    assert queue.position(job) == 1


@pytest.mark.parametrize("said", [RqStatus.QUEUED, RqStatus.STARTED, RqStatus.FAILED])
def test_job_of_which_rq_has_nothing_but_a_record_is_enqueued_again(
    store: JobStore, queue: JobQueue, said: RqStatus
) -> None:
    job = recorded(store)
    queue.enqueue(job)
    queue.redis.lpop(queue.queues[job.lane].key)
    queue.fetch(job.id).set_status(said)
    for _ in range(2):
        requeue_lost(store, queue)
    assert queue.position(job) == 1


def test_job_that_a_worker_has_just_taken_is_not_lost(store: JobStore, queue: JobQueue) -> None:
    job = recorded(store)
    queue.enqueue(job)
    lane = queue.queues[job.lane]
    queue.redis.lmove(lane.key, lane.intermediate_queue.key)
    assert [requeue_lost(store, queue) for _ in range(3)] == [0, 0, 0]


def test_job_that_a_worker_holds_is_not_lost(store: JobStore, queue: JobQueue) -> None:
    job = recorded(store)
    store.start(job.id, "r", "m")
    registry = queue.queues[job.lane].started_job_registry
    queue.redis.zadd(registry.key, {f"{job.id}:r": time.time() + 60})
    assert [requeue_lost(store, queue) for _ in range(3)] == [0, 0, 0]
    assert store.add_window(job.id, "r", "v", window(0), 0.5)


def test_job_that_is_lost_again_and_again_fails(store: JobStore, queue: JobQueue) -> None:
    job = recorded(store)
    for number in range(MOST_DEATHS):
        store.start(job.id, f"r{number}", "m")
        store.abandon(job.id)
    for _ in range(2):
        requeue_lost(store, queue)
    error = store.get(job.id).error
    assert error is not None and error.code == "worker_lost"
