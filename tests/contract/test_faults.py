"""What the contract promises when two write at once, Redis dies, or a reply is lost."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from services.contract.errors import (
    JobNotCancelableError,
    QueueUnavailableError,
    SettingsError,
)
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import connect
from services.contract.schema import Job, JobStatus, Lane
from tests.contract.builders import ERROR, make_job, transcript, window
from tests.contract.lossy_proxy import LossyProxy
from tests.redis_server import RedisServer


def store_on(url: str, *, for_worker: bool = False) -> JobStore:
    client = connect(url, for_worker=for_worker)
    return JobStore(client, transcript_ttl_s=600, audio_ttl_s=600)


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Run calls in threads that start together; return their results in order."""
    barrier = threading.Barrier(len(calls))

    def wait_and_call(call: Callable[[], object]) -> object:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and_call, calls))


def test_of_two_workers_only_the_last_to_start_may_end_the_job(redis_url: str) -> None:
    stores = [store_on(redis_url) for _ in range(4)]
    for _ in range(25):
        job = make_job()
        stores[0].create(job)

        def work(number: int, job: Job = job) -> bool:
            run = f"run-{number}"
            stores[number].start(job.id, run, "m")
            stores[number].add_window(job.id, run, run, window(0, run), 0.5)
            return stores[number].succeed(job.id, run, transcript(run))

        results = at_once([lambda n=n: work(n) for n in range(4)])
        assert results.count(True) == 1
        winner = f"run-{results.index(True)}"
        assert stores[0].transcript(job.id).text == winner
        assert stores[0].get(job.id).execution_id == winner


def test_of_success_failure_and_cancel_exactly_one_happens(redis_url: str) -> None:
    stores = [store_on(redis_url) for _ in range(3)]
    for _ in range(25):
        job = make_job()
        stores[0].create(job)
        stores[0].start(job.id, "r", "m")
        results = at_once(
            [
                lambda job=job: stores[0].succeed(job.id, "r", transcript()),
                lambda job=job: stores[1].fail(job.id, None, ERROR),
                lambda job=job: try_cancel(stores[2], job),
            ]
        )
        ended = stores[0].get(job.id)
        names = [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED]
        assert [names[i] for i, won in enumerate(results) if won] == [ended.status]
        assert sum(stores[0].count_by_status().values()) == 1
        stores[0].delete(job.id)


def try_cancel(store: JobStore, job: Job) -> bool:
    """Cancel; False if the job had ended."""
    try:
        return store.cancel(job.id).status is JobStatus.CANCELED
    except JobNotCancelableError:
        return False


def test_same_idempotency_key_at_once_gives_one_job(redis_url: str) -> None:
    stores = [store_on(redis_url) for _ in range(8)]
    jobs = [make_job() for _ in range(8)]
    results = at_once([lambda n=n: stores[n].create_once(jobs[n], "k", "f") for n in range(8)])
    first = jobs[results.index(None)]
    assert sorted(results, key=str) == sorted([None] + [first.id] * 7, key=str)
    assert stores[0].list_jobs(None).jobs == [first], "whoever finds the key finds the job"


def test_killed_redis_comes_back_with_jobs_windows_and_queue(redis_server: RedisServer) -> None:
    store, queue = store_on(redis_server.url), JobQueue(connect(redis_server.url))
    waiting = [make_job() for _ in range(5)]
    running, done = make_job(batch="b"), make_job(batch="b")
    for job in [*waiting, running, done]:
        store.create(job)
        queue.enqueue(job)
    store.start(running.id, "r", "m")
    store.add_window(running.id, "r", "v", window(0, "åäö"), 0.5)
    store.start(done.id, "r", "m")
    store.succeed(done.id, "r", transcript("färdig"))
    redis_server.restart()
    assert [queue.position(job) for job in waiting] == [1, 2, 3, 4, 5]
    assert store.windows(running.id, "v") == [window(0, "åäö")]
    assert store.transcript(done.id).text == "färdig"
    assert store.batch("public", "b").n_jobs == 2
    assert store.add_window(running.id, "r", "v", window(1), 0.7), "the fence holds"


def test_worker_writes_through_a_restart_of_redis(redis_server: RedisServer) -> None:
    store = store_on(redis_server.url, for_worker=True)
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "m")
    written: list[bool] = []
    half = threading.Event()

    def work() -> None:
        for index in range(200):
            written.append(store.add_window(job.id, "r", "v", window(index), index / 200))
            if index == 20:
                half.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert half.wait(60)
    redis_server.restart()
    thread.join(60)
    assert written == [True] * 200
    assert [w.index for w in store.windows(job.id)] == list(range(200))
    assert store.get(job.id).n_windows == 200


def test_api_client_gives_up_soon_and_works_again_later(redis_server: RedisServer) -> None:
    store = store_on(redis_server.url)
    job = make_job()
    store.create(job)
    redis_server.kill()
    with pytest.raises(QueueUnavailableError):
        store.get(job.id)
    redis_server.start()
    assert store.get(job.id) == job


def test_stalled_redis_delays_an_answer_and_loses_nothing(redis_server: RedisServer) -> None:
    store = store_on(redis_server.url)
    job = make_job()
    redis_server.pause()
    thread = threading.Thread(target=store.create, args=[job])
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    redis_server.resume()
    thread.join(20)
    assert store.get(job.id) == job


def test_full_redis_is_queue_unavailable(redis_server: RedisServer) -> None:
    store = store_on(redis_server.url)
    store.redis.config_set("maxmemory", 1)
    with pytest.raises(QueueUnavailableError, match="memory"):
        store.create(make_job())


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1", "redis://host:port/0"])
def test_url_that_is_none_of_redis_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingsError, match="STT_REDIS_URL"):
        connect(url)


class Rig:
    """A store and queue behind a proxy that loses replies, and the same without it."""

    def __init__(self, proxy: LossyProxy, url: str) -> None:
        self.store, self.queue = store_on(proxy.url), JobQueue(connect(proxy.url))
        self.direct = store_on(url)
        self.direct_queue = JobQueue(connect(url))


@pytest.fixture
def proxy(redis_url: str) -> Iterator[LossyProxy]:
    """A proxy to the tests' Redis."""
    with LossyProxy(int(redis_url.rsplit(":", 1)[1].split("/")[0])) as opened:
        yield opened


def started(rig: Rig) -> Job:
    job = make_job()
    rig.direct.create(job)
    rig.direct.start(job.id, "r", "m")
    return job


def create_twice(rig: Rig) -> None:
    job = make_job(batch="b")
    rig.store.create(job)
    assert rig.direct.get(job.id) == job


def start_twice(rig: Rig) -> None:
    job = make_job()
    rig.direct.create(job)
    found = rig.store.start(job.id, "r", "m")
    assert found is not None and found.attempt == 1


def add_window_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.add_window(job.id, "r", "v", window(0), 0.5)
    assert rig.direct.get(job.id).n_windows == 1


def succeed_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.succeed(job.id, "r", transcript())


def fail_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.fail(job.id, "r", ERROR)


def release_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.release(job.id, "r")


def abandon_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.abandon(job.id) == 1


def cancel_twice(rig: Rig) -> None:
    job = started(rig)
    assert rig.store.cancel(job.id).status is JobStatus.CANCELED


def claim_twice(rig: Rig) -> None:
    job = make_job()
    assert rig.store.create_once(job, str(random.random()), "f") is None
    assert rig.direct.get(job.id) == job


def submit_twice(rig: Rig) -> None:
    job = make_job(lane=Lane.BULK)
    rig.store.create(job, rig.queue.entry(job))
    key = rig.direct_queue.queues[Lane.BULK].key
    assert rig.direct.redis.lrange(key, 0, -1).count(job.id.encode()) == 1
    assert rig.direct.get(job.id) == job


def enqueue_twice(rig: Rig) -> None:
    job = make_job(lane=Lane.BULK)
    rig.queue.enqueue(job)
    key = rig.direct_queue.queues[Lane.BULK].key
    assert rig.direct.redis.lrange(key, 0, -1).count(job.id.encode()) == 1
    assert rig.direct_queue.fetch(job.id).kwargs == {"job_id": job.id}


@pytest.mark.parametrize(
    "call",
    [
        create_twice,
        start_twice,
        add_window_twice,
        succeed_twice,
        fail_twice,
        release_twice,
        abandon_twice,
        cancel_twice,
        claim_twice,
        submit_twice,
        enqueue_twice,
    ],
)
def test_call_whose_reply_was_lost_succeeds_once(
    call: Callable[[Rig], None], proxy: LossyProxy, redis_url: str, redis_client: Redis
) -> None:
    rig = Rig(proxy, redis_url)
    call(rig)
    n_lost = 0
    for number in range(1, 20):
        proxy.lose_reply(number)
        call(rig)
        if not proxy.has_lost_it:
            break
        n_lost += 1
    assert 1 <= n_lost < 19, "every reply of the call was lost once"
