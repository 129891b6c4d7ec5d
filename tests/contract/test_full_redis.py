"""A Redis at its maxmemory: new work is refused, and all that frees memory goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from services.contract import retention
from services.contract.audio_store import AudioStore
from services.contract.errors import JobNotFoundError, QueueUnavailableError
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.schema import Job, JobStatus, Lane
from services.contract.workers import WorkerInfo, worker_key
from tests.contract.builders import ERROR, make_job, transcript, window


@pytest.fixture
def waiting(store: JobStore, queue: JobQueue) -> Job:
    """A job that waits."""
    job = make_job()
    store.create(job, queue.entry(job))
    return job


@pytest.fixture
def running(store: JobStore, queue: JobQueue) -> Job:
    """A job that a worker runs."""
    job = make_job()
    store.create(job, queue.entry(job))
    store.start(job.id, "run", "m")
    store.add_window(job.id, "run", "v", window(0), 0.5)
    return job


@pytest.fixture
def full(redis_client: Redis, waiting: Job, running: Job) -> Iterator[None]:
    """Redis takes nothing that needs memory."""
    redis_client.config_set("maxmemory", 1)
    yield
    redis_client.config_set("maxmemory", 0)


@pytest.mark.usefixtures("full")
def test_new_work_is_refused(store: JobStore, queue: JobQueue, running: Job) -> None:
    job = make_job()
    with pytest.raises(QueueUnavailableError, match="memory"):
        store.create(job, queue.entry(job))
    with pytest.raises(QueueUnavailableError):
        store.add_window(running.id, "run", "v", window(1), 0.7)
    with pytest.raises(JobNotFoundError):
        store.get(job.id)


@pytest.mark.usefixtures("full")
def test_what_is_there_can_be_read(store: JobStore, waiting: Job, running: Job) -> None:
    assert {job.id for job in store.list_jobs(None).jobs} == {waiting.id, running.id}
    assert store.count_unfinished(running.owner) == 2
    assert [w.index for w in store.windows(running.id, "v")] == [0]


@pytest.mark.usefixtures("full")
def test_jobs_can_be_deleted(
    store: JobStore, queue: JobQueue, waiting: Job, running: Job, tmp_path: Path
) -> None:
    audio = AudioStore(f"file://{tmp_path}/audio")
    for job in (waiting, running):
        retention.erase(job.id, store, queue, audio)
    assert store.list_jobs(None).jobs == []
    assert sum(queue.depth().values()) == 0


@pytest.mark.usefixtures("full")
def test_jobs_can_be_canceled_and_given_back(
    store: JobStore, queue: JobQueue, waiting: Job, running: Job
) -> None:
    assert store.cancel(waiting.id).status is JobStatus.CANCELED
    assert queue.cancel(waiting.id)
    assert store.release(running.id, "run")
    assert store.get(running.id).status is JobStatus.QUEUED


@pytest.mark.usefixtures("full")
def test_what_is_finished_is_stored(store: JobStore, waiting: Job, running: Job) -> None:
    assert store.succeed(running.id, "run", transcript("klart"))
    assert store.transcript(running.id).text == "klart"
    assert store.fail(waiting.id, None, ERROR)


def test_a_worker_stays_alive(redis_client: Redis, queue: JobQueue) -> None:
    """Whoever looks after its process would end it, and start another that cannot register."""
    info = WorkerInfo(name="here-1", bundle="tiny@1", device="cpu", slots=1)
    queue.report_worker(info)
    redis_client.pexpire(worker_key("here-1"), 1000)
    redis_client.config_set("maxmemory", 1)
    try:
        queue.report_worker(info)
        assert redis_client.pttl(worker_key("here-1")) > 1000
        with pytest.raises(QueueUnavailableError, match="memory"):
            queue.report_worker(info.model_copy(update={"name": "here-2"}))
    finally:
        redis_client.config_set("maxmemory", 0)


@pytest.mark.usefixtures("full")
def test_a_dead_worker_is_noticed(store: JobStore, running: Job) -> None:
    assert store.abandon(running.id, "run") == 1


@pytest.mark.usefixtures("full")
def test_the_sweep_frees_what_is_due(
    store: JobStore, queue: JobQueue, waiting: Job, tmp_path: Path
) -> None:
    store.cancel(waiting.id)
    store.transcript_ttl_s = store.audio_ttl_s = 0
    counts = next(retention.sweep(store, queue, AudioStore(f"file://{tmp_path}/audio")))
    assert (counts.jobs, counts.recordings) == (1, 1)
    assert queue.depth()[Lane.INTERACTIVE] <= 1
