"""The event stream: order, resume, outages, and a thousand listeners on one reader."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from services.contract.events import MAX_WAITING, Event, EventReader, Subscription, order
from services.contract.job_store import JobStore
from services.contract.redis_client import connect
from services.contract.schema import JobStatus
from tests.contract.builders import make_job, transcript, window
from tests.redis_server import RedisServer


async def next_event(events: Subscription) -> Event:
    return await asyncio.wait_for(anext(events), 10)


async def until(events: Subscription, wanted: Callable[[Event], bool]) -> list[Event]:
    """Collect events up to the first wanted one."""
    seen = [await next_event(events)]
    while not wanted(seen[-1]):
        seen.append(await next_event(events))
    return seen


def ended(event: Event) -> bool:
    return event.status is not None and event.status.is_terminal


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test(), 30)

    asyncio.run(limited())


def finish(store: JobStore, job_id: str) -> None:
    """Take a created job through two windows to its end."""
    store.start(job_id, "r", "m")
    store.add_window(job_id, "r", "v", window(0), 0.5)
    store.add_window(job_id, "r", "v", window(1), 1.0)
    store.succeed(job_id, "r", transcript())


def shape(event: Event) -> tuple[str, str | None, float, int]:
    return event.kind, event.status and event.status.value, event.progress, event.n_windows


LIFE = [
    ("status", "queued", 0.0, 0),
    ("status", "processing", 0.0, 0),
    ("window", "processing", 0.5, 1),
    ("window", "processing", 1.0, 2),
    ("status", "succeeded", 1.0, 2),
]


def test_listener_hears_its_job_in_order_and_no_other(store: JobStore, redis_url: str) -> None:
    async def test() -> None:
        job, other = make_job(), make_job()
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id) as events:
                store.create(other)
                store.create(job)
                finish(store, other.id)
                finish(store, job.id)
                seen = await until(events, ended)
                assert [shape(event) for event in seen] == LIFE
                assert {event.job_id for event in seen} == {job.id}
                store.delete(job.id)
                assert (await next_event(events)).kind == "deleted"

    run(test)


def test_listener_resumes_after_the_last_event_it_saw(store: JobStore, redis_url: str) -> None:
    async def test() -> None:
        job = make_job()
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id) as events:
                store.create(job)
                assert (await next_event(events)).status is JobStatus.QUEUED
                store.start(job.id, "r", "m")
                last = (await next_event(events)).id
            store.add_window(job.id, "r", "v", window(0), 0.5)
            await heard(reader, store)
            async with reader.subscribe(job.id, last_id=last) as events:
                assert shape(await next_event(events)) == LIFE[2]

    run(test)


async def heard(reader: EventReader, store: JobStore) -> None:
    """Wait until the reader has read all that was written so far."""
    mark = make_job()
    async with reader.subscribe(mark.id) as events:
        store.create(mark)
        await next_event(events)


def test_listener_resumes_on_a_new_api_process(store: JobStore, redis_url: str) -> None:
    async def test() -> None:
        job = make_job()
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id) as events:
                store.create(job)
                last = (await next_event(events)).id
        finish(store, job.id)
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id, last_id=last) as events:
                assert [shape(event) for event in await until(events, ended)] == LIFE[1:]

    run(test)


def test_listeners_of_two_api_processes_both_hear(store: JobStore, redis_url: str) -> None:
    async def test() -> None:
        job, other = make_job(), make_job()
        async with EventReader(redis_url) as first, EventReader(redis_url) as second:
            await heard(first, store)
            await heard(second, store)
            async with first.subscribe(job.id) as here, second.subscribe(other.id) as there:
                for created in (job, other):
                    store.create(created)
                    finish(store, created.id)
                assert {e.job_id for e in await until(here, ended)} == {job.id}
                assert {e.job_id for e in await until(there, ended)} == {other.id}

    run(test)


def test_entry_that_nobody_understands_is_passed_over(
    store: JobStore, redis_url: str, redis_client: Redis
) -> None:
    async def test() -> None:
        job = make_job()
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id) as events:
                redis_client.xadd("stt:events", {"colour": "red"})
                redis_client.xadd("stt:events", {"job": job.id, "kind": "status", "status": "new"})
                store.create(job)
                assert (await next_event(events)).status is JobStatus.QUEUED

    run(test)


@pytest.mark.parametrize("last_id", ["nonsense", "1-", "0-1", "1-1"])
def test_unknown_last_id_asks_to_read_again(store: JobStore, redis_url: str, last_id: str) -> None:
    async def test() -> None:
        job = make_job()
        store.create(job)
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            async with reader.subscribe(job.id, last_id=last_id) as events:
                assert (await next_event(events)).kind == "resync"

    run(test)


def test_thousand_listeners_share_one_blocked_read(
    store: JobStore, redis_url: str, redis_client: Redis
) -> None:
    async def listen(reader: EventReader, job_id: str) -> list[Event]:
        async with reader.subscribe(job_id) as events:
            return await until(events, ended)

    async def test() -> None:
        jobs = [make_job() for _ in range(10)]
        async with EventReader(redis_url) as reader:
            await heard(reader, store)
            listeners = [
                asyncio.create_task(listen(reader, job.id)) for job in jobs for _ in range(100)
            ]
            await asyncio.sleep(0)
            for job in jobs:
                store.create(job)
                finish(store, job.id)
            all_seen = await asyncio.gather(*listeners)
            assert all([shape(e) for e in seen] == LIFE for seen in all_seen)
            n_readers = sum(c["cmd"] == "xread" for c in redis_client.client_list())
            assert n_readers == 1
            assert reader._subscriptions == {}

    run(test)


def test_slow_listener_is_told_to_read_again_instead_of_filling_memory() -> None:
    async def test() -> None:
        events = Subscription("j")
        for number in range(MAX_WAITING + 5):
            events.put(Event(f"{number}-0", "j", "window"))
        first = await next_event(events)
        assert first.kind == "resync"
        assert len(events._waiting) == 4

    run(test)


def test_reader_survives_a_restart_of_redis(redis_server: RedisServer) -> None:
    async def test() -> None:
        store = JobStore(connect(redis_server.url), transcript_ttl_s=600, audio_ttl_s=600)
        job = make_job()
        async with EventReader(redis_server.url) as reader, reader.subscribe(job.id) as events:
            store.create(job)
            await next_event(events)
            await asyncio.to_thread(redis_server.restart)
            resync = await next_event(events)
            assert resync.kind == "resync"
            finish(store, job.id)
            assert [shape(event) for event in await until(events, ended)] == LIFE[1:]

    run(test)


def test_reader_starts_before_redis_does(redis_server: RedisServer) -> None:
    async def test() -> None:
        redis_server.kill()
        job = make_job()
        async with EventReader(redis_server.url) as reader, reader.subscribe(job.id) as events:
            await asyncio.to_thread(redis_server.start)
            assert (await next_event(events)).kind == "resync"
            store = JobStore(connect(redis_server.url), transcript_ttl_s=600, audio_ttl_s=600)
            store.create(job)
            assert (await next_event(events)).status is JobStatus.QUEUED

    run(test)


def test_stream_holds_ids_and_numbers_only(store: JobStore, redis_client: Redis) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "m")
    store.add_window(job.id, "r", "v", window(0, "hemligt"), 0.5)
    rows = redis_client.xrange("stt:events")
    assert all(
        set(fields) == {b"job", b"kind", b"status", b"progress", b"n_windows"} for _, fields in rows
    )
    assert b"hemligt" not in (redis_client.dump("stt:events") or b"")


def test_order_of_ids_is_by_number() -> None:
    ids = ["9-10", "10-2", "9-9"]
    assert sorted(ids, key=lambda i: order(i) or (0, 0)) == ["9-9", "9-10", "10-2"]
    assert order("x") is None
