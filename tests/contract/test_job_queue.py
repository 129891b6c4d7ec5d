"""The queues over real RQ: what is enqueued, in which order, who works, how long it takes."""

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.serializers import JSONSerializer

from services.contract import job_queue
from services.contract.errors import QueueUnavailableError
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.rq_record import TASK
from services.contract.schema import Lane, utc_now
from services.contract.workers import WorkerInfo
from tests.contract.builders import make_job, transcript


def finish(job_id: str) -> dict[str, str]:
    """Stand in for the worker's task where RQ itself is tested."""
    return {"done": job_id}


def test_rq_job_carries_the_id_and_every_limit(queue: JobQueue, redis_client: Redis) -> None:
    job = make_job(duration=60.0)
    queue.enqueue(job)
    rq_job = queue.fetch(job.id)
    assert (rq_job.func_name, rq_job.kwargs) == (TASK, {"job_id": job.id})
    assert rq_job.timeout == 4200 and rq_job.result_ttl and rq_job.failure_ttl
    assert rq_job.retries_left == 10


def test_stock_rq_worker_runs_what_was_enqueued(
    queue: JobQueue, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "TASK", "tests.contract.test_job_queue.finish")
    job = make_job()
    queue.enqueue(job)
    lanes = [queue.queues[lane] for lane in Lane]
    SimpleWorker(lanes, connection=redis_client, serializer=JSONSerializer).work(burst=True)
    assert queue.fetch(job.id).return_value() == {"done": job.id}
    queue.delete(job.id)
    assert not [k for k in redis_client.keys("*") if job.id.encode() in k]


def test_enqueue_twice_is_one_entry(queue: JobQueue) -> None:
    job = make_job()
    queue.enqueue(job)
    queue.enqueue(job)
    assert queue.depth() == {Lane.INTERACTIVE: 1, Lane.BULK: 0}


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("duration", [0.02, 5.0, 12_345.6])
def test_job_made_with_an_entry_waits_as_if_rq_had_enqueued_it(
    queue: JobQueue, store: JobStore, redis_client: Redis, lane: Lane, duration: float
) -> None:
    by_entry, by_rq = (make_job(lane=lane, duration=duration) for _ in range(2))
    before = utc_now()
    store.create(by_entry, queue.entry(by_entry))
    store.create(by_rq)
    redis_client.delete("rq:queues")
    queue.enqueue(by_rq)
    waiting = redis_client.lrange(f"rq:queue:{lane.value}", 0, -1)
    assert waiting == [j.id.encode() for j in (by_entry, by_rq)]
    assert redis_client.smembers("rq:queues") == {f"rq:queue:{lane.value}".encode()}
    ours, theirs = (
        {k: v.replace(j.id.encode(), b"ID") for k, v in redis_client.hgetall(key).items()}
        for j in (by_entry, by_rq)
        for key in [queue.record_key(j.id)]
    )
    differing = {k for k in ours | theirs if ours.get(k) != theirs.get(k)}
    assert differing <= {b"data", b"created_at", b"enqueued_at"}
    for name in ("func_name", "args", "timeout", "origin", "retries_left"):
        of_ours, of_theirs = (getattr(queue.fetch(j.id), name) for j in (by_entry, by_rq))
        assert of_ours == of_theirs
    assert queue.fetch(by_entry.id).kwargs == {"job_id": by_entry.id}
    assert before <= queue.fetch(by_entry.id).enqueued_at <= utc_now()


def test_position_counts_the_interactive_lane_first(queue: JobQueue) -> None:
    bulk = [make_job(lane=Lane.BULK) for _ in range(2)]
    quick = [make_job() for _ in range(3)]
    for job in bulk + quick:
        queue.enqueue(job)
    assert [queue.position(job) for job in quick + bulk] == [1, 2, 3, 4, 5]
    assert queue.position(make_job()) is None
    assert queue.depth() == {Lane.INTERACTIVE: 3, Lane.BULK: 2}
    assert queue.full(5) and not queue.full(6)


def test_cancel_takes_a_waiting_job_out(queue: JobQueue) -> None:
    job, other = make_job(), make_job()
    queue.enqueue(job)
    queue.enqueue(other)
    assert queue.cancel(job.id)
    assert not queue.cancel(job.id)
    assert not queue.contains(job.id)
    assert queue.position(other) == 1


def test_cancel_leaves_a_claimed_job_to_its_worker(queue: JobQueue, redis_client: Redis) -> None:
    job = make_job()
    queue.enqueue(job)
    redis_client.lpop(queue.queues[Lane.INTERACTIVE].key)
    assert not queue.cancel(job.id)
    assert queue.contains(job.id)


def test_delete_leaves_no_key_of_the_job(queue: JobQueue, redis_client: Redis) -> None:
    job = make_job()
    queue.enqueue(job)
    queue.delete(job.id)
    queue.delete(job.id)
    with pytest.raises(NoSuchJobError):
        queue.fetch(job.id)
    assert set(redis_client.keys("*")) == {b"rq:queues"}


def test_a_job_whose_run_expired_with_its_worker_can_be_deleted(
    queue: JobQueue, redis_client: Redis
) -> None:
    job = make_job()
    queue.enqueue(job)
    with redis_client.pipeline() as pipeline:
        run = Execution.create(queue.fetch(job.id), ttl=60, pipeline=pipeline)
        pipeline.execute()
    redis_client.delete(run.key)
    queue.delete(job.id)
    with pytest.raises(NoSuchJobError):
        queue.fetch(job.id)
    assert not redis_client.keys(f"rq:*{job.id}*")


def test_waiting_audio_follows_the_jobs(store: JobStore, queue: JobQueue) -> None:
    jobs = [make_job(duration=10.5) for _ in range(3)]
    for job in jobs:
        store.create(job)
    assert queue.waiting_audio_s() == pytest.approx(31.5)
    store.start(jobs[0].id, "r", "m")
    store.cancel(jobs[1].id)
    assert queue.waiting_audio_s() == pytest.approx(10.5)


def test_estimate_needs_a_known_speed_and_grows_with_the_queue(
    store: JobStore, queue: JobQueue
) -> None:
    jobs = [make_job(duration=100.0) for _ in range(3)]
    for job in jobs:
        store.create(job)
        queue.enqueue(job)
    assert queue.estimate(jobs[0]) is None
    queue.report_real_time_factor(0.5)
    assert queue.estimate(jobs[0]) == pytest.approx(50)
    assert queue.estimate(jobs[2]) == pytest.approx(150)
    for name in ("w1", "w2"):
        queue.report_worker(WorkerInfo(name=name, bundle="m", device="cpu", slots=1))
    assert queue.estimate(jobs[2]) == pytest.approx(100)
    store.start(jobs[0].id, "r", "m")
    store.succeed(jobs[0].id, "r", transcript())
    assert queue.estimate(store.get(jobs[0].id)) == 0


def test_real_time_factor_follows_recent_figures(queue: JobQueue) -> None:
    assert queue.real_time_factor() is None
    queue.report_real_time_factor(1.0)
    assert queue.real_time_factor() == pytest.approx(1.0)
    for _ in range(30):
        queue.report_real_time_factor(0.2)
    assert queue.real_time_factor() == pytest.approx(0.2, rel=0.05)


def test_worker_is_alive_while_its_lease_holds(queue: JobQueue, redis_client: Redis) -> None:
    for name in ("w1", "w2"):
        queue.report_worker(WorkerInfo(name=name, bundle="m", device="cpu", slots=4, busy=1))
    first, second = queue.workers_alive()
    assert (first.name, second.name, first.busy) == ("w1", "w2", 1)
    assert first.last_seen is not None
    redis_client.delete("stt:worker:w1")  # what the lease's end does
    assert [w.name for w in queue.workers_alive()] == ["w2"]
    queue.retire_worker("w2")
    assert queue.workers_alive() == []
    assert redis_client.keys("*") == []


def test_heartbeat_of_a_newer_version_is_understood(queue: JobQueue, redis_client: Redis) -> None:
    said = '{"name": "w", "bundle": "m", "device": "cpu", "slots": 1, "colour": "red"}'
    redis_client.set("stt:worker:w", said)
    redis_client.sadd("stt:workers", "w")
    assert [w.name for w in queue.workers_alive()] == ["w"]


def test_lease_is_an_expiry_in_redis(queue: JobQueue, redis_client: Redis) -> None:
    info = WorkerInfo(name="w", bundle="m", device="cpu", slots=4)
    queue.report_worker(info, lease_s=3.0)
    assert 0 < redis_client.pttl("stt:worker:w") <= 3000


def test_started_ids_reads_the_registry_without_cleaning_it(
    queue: JobQueue, redis_client: Redis
) -> None:
    registry = queue.queues[Lane.BULK].started_job_registry
    redis_client.zadd(registry.key, {"job-1:execution-1": 1})
    assert queue.started_ids() == {"job-1"}


def test_without_redis_every_call_is_queue_unavailable() -> None:
    queue = JobQueue(Redis.from_url("redis://127.0.0.1:1/0", retry=None))
    job = make_job()
    for call in (
        lambda: queue.enqueue(job),
        queue.depth,
        lambda: queue.position(job),
        lambda: queue.cancel(job.id),
        lambda: queue.delete(job.id),
        queue.workers_alive,
        queue.started_ids,
    ):
        with pytest.raises(QueueUnavailableError):
            call()
