"""Lists, cursors, batches, counts: right after every kind of change, and after none remains."""

import random
from datetime import timedelta

import pytest
from redis import Redis

from services.contract.errors import BatchNotFoundError, InvalidRequestError
from services.contract.job_store import JobStore
from services.contract.schema import Job, JobStatus, utc_now
from tests.contract.builders import ERROR, make_job, transcript, window


def created(store: JobStore, n: int, **changes: object) -> list[Job]:
    """Create jobs one second apart; newest first."""
    start = utc_now() - timedelta(days=1)
    jobs = [make_job(created_at=start + timedelta(seconds=i), **changes) for i in range(n)]
    for job in jobs:
        store.create(job)
    return jobs[::-1]


def all_pages(store: JobStore, owner: str, limit: int) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        page = store.list_jobs(owner, limit=limit, cursor=cursor)
        pages.append([job.id for job in page.jobs])
        cursor = page.next_cursor
        if cursor is None:
            return pages


def test_list_is_newest_first_and_sees_only_the_owners(store: JobStore) -> None:
    mine = created(store, 3, owner="anna")
    created(store, 2, owner="anna2")
    assert store.list_jobs("anna").jobs == mine
    assert len(store.list_jobs(None).jobs) == 5
    assert store.list_jobs("nobody").jobs == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_hold_every_job_once(store: JobStore, limit: int) -> None:
    jobs = created(store, 7)
    pages = all_pages(store, "public", limit)
    assert [i for page in pages for i in page] == [job.id for job in jobs]
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_hold_every_job_once_when_all_were_made_at_once(store: JobStore, limit: int) -> None:
    moment = utc_now()
    jobs = [make_job(created_at=moment) for _ in range(11)]
    for job in jobs:
        store.create(job)
    found = [i for page in all_pages(store, "public", limit) for i in page]
    assert sorted(found) == sorted(job.id for job in jobs)


def test_cursor_survives_inserts_and_the_deletion_of_its_own_job(store: JobStore) -> None:
    jobs = created(store, 6)
    first = store.list_jobs("public", limit=3)
    store.create(make_job())
    store.delete(first.jobs[-1].id)
    second = store.list_jobs("public", limit=3, cursor=first.next_cursor)
    assert [job.id for job in second.jobs] == [job.id for job in jobs[3:]]


@pytest.mark.parametrize("cursor", ["", "x", "12", "12-", "-id", "²-id", "9" * 30 + "-id"])
def test_cursor_that_no_page_gave_is_refused(store: JobStore, cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        store.list_jobs("public", cursor=cursor)


def test_filters_follow_the_status(store: JobStore) -> None:
    queued, running, done = created(store, 3, batch="b")
    store.start(running.id, "r", "m")
    store.start(done.id, "r", "m")
    store.succeed(done.id, "r", transcript())

    def ids(status: JobStatus, batch: str | None = None) -> list[str]:
        return [job.id for job in store.list_jobs("public", status=status, batch=batch).jobs]

    assert ids(JobStatus.QUEUED) == ids(JobStatus.QUEUED, "b") == [queued.id]
    assert ids(JobStatus.PROCESSING) == ids(JobStatus.PROCESSING, "b") == [running.id]
    assert ids(JobStatus.SUCCEEDED, "b") == [done.id]
    assert ids(JobStatus.SUCCEEDED, "other") == []


def test_batch_names_and_owners_cannot_be_made_to_collide(store: JobStore) -> None:
    store.create(make_job(owner="a:b", batch="c"))
    store.create(make_job(owner="a", batch="b:c"))
    store.create(make_job(owner="a", batch="b\nall"))
    assert store.batch("a:b", "c").n_jobs == 1
    assert store.batch("a", "b:c").n_jobs == 1
    assert store.batch("a", "b\nall").n_jobs == 1
    assert len(store.list_jobs(None).jobs) == 3


def test_batch_counts_audio_by_what_is_done(store: JobStore) -> None:
    jobs = created(store, 4, batch="b", duration=10.0)
    store.start(jobs[0].id, "r", "m")
    store.succeed(jobs[0].id, "r", transcript())
    store.fail(jobs[1].id, None, ERROR)
    store.start(jobs[2].id, "r", "m")
    store.add_window(jobs[2].id, "r", "v", window(0), 0.5)
    counts = store.batch("public", "b")
    assert counts.by_status[JobStatus.SUCCEEDED] == counts.by_status[JobStatus.FAILED] == 1
    assert (counts.n_jobs, counts.audio_s, counts.done_s) == (4, 40.0, 25.0)
    assert counts.progress == pytest.approx(0.625)
    with pytest.raises(BatchNotFoundError):
        store.batch("other", "b")


def test_random_life_keeps_indexes_in_step_and_leaves_nothing(
    store: JobStore, redis_client: Redis
) -> None:
    alive: dict[str, JobStatus] = {}
    for step in range(300):
        job_id = random.choice(list(alive)) if alive and random.random() < 0.7 else None
        if job_id is None:
            job = make_job(batch=random.choice([None, "b"]), duration=random.random() * 100)
            store.create(job)
            alive[job.id] = JobStatus.QUEUED
            continue
        run = f"r{step}"
        match random.randrange(6):
            case 0:
                store.start(job_id, run, "m")
            case 1:
                store.start(job_id, run, "m")
                store.release(job_id, run)
            case 2:
                store.start(job_id, run, "m")
                store.succeed(job_id, run, transcript())
            case 3:
                store.fail(job_id, None, ERROR)
            case 4:
                store.abandon(job_id)
            case 5:
                store.delete(job_id)
                del alive[job_id]
                continue
        alive[job_id] = store.get(job_id).status
    counts = store.count_by_status()
    assert counts == {s: list(alive.values()).count(s) for s in JobStatus}
    assert store.count_unfinished("public") == sum(not s.is_terminal for s in alive.values())
    for job_id in alive:
        store.delete(job_id)
    assert set(redis_client.keys("*")) == {b"stt:events", b"stt:erased", b"stt:audio:doomed"}


def test_a_recording_of_a_few_samples_is_counted_and_deleted_like_any(store: JobStore) -> None:
    """It lasts no whole millisecond, and Redis takes no -0."""
    job = make_job(duration=0.0001)
    store.create(job)
    assert store.start(job.id, "run", "demo@1") is not None
    assert store.fail(job.id, "run", ERROR)
    assert [each.id for each in store.list_jobs("public", status=JobStatus.FAILED).jobs] == [job.id]
    store.delete(job.id)
    assert store.list_jobs("public").jobs == []
