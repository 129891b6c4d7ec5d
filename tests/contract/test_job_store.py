"""The record of a job: compare-and-set, fencing, windows, transcript, deletion."""

from collections.abc import Iterator

import pytest
from redis import Redis

from services.contract.errors import (
    ConcurrencyLimitError,
    InternalError,
    JobNotCancelableError,
    JobNotFinishedError,
    JobNotFoundError,
    TranscriptExpiredError,
)
from services.contract.job_store import JobStore
from services.contract.schema import JobStatus
from tests.contract.builders import ERROR, make_job, transcript, window


def test_created_job_reads_back_equal(store: JobStore) -> None:
    job = make_job(batch="Möte: 1/2", request_id="r1")
    store.create(job)
    assert store.get(job.id) == job


def test_job_of_another_owner_does_not_exist(store: JobStore) -> None:
    job = make_job(owner="anna")
    store.create(job)
    with pytest.raises(JobNotFoundError):
        store.get(job.id, owner="bertil")
    assert store.get(job.id, owner="anna") == job


def test_create_twice_is_one_job_and_another_with_its_id_is_refused(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.create(job)
    assert store.count_unfinished("public") == 1
    with pytest.raises(InternalError):
        store.create(job.model_copy(update={"owner": "other"}))


def test_an_owner_has_no_more_unfinished_jobs_than_it_may(redis_client: Redis) -> None:
    store = JobStore(redis_client, transcript_ttl_s=60, audio_ttl_s=60, max_unfinished=1)
    job = make_job()
    store.create(job)
    store.create(job)
    with pytest.raises(ConcurrencyLimitError):
        store.create_once(make_job(), "key", "request")
    store.create(make_job(owner="another"))
    store.cancel(job.id)
    assert store.create_once(make_job(), "key", "request") is None, "the refusal took no claim"


def test_start_takes_the_fence_from_an_earlier_run(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    first = store.start(job.id, "run-1", "demo@1")
    assert first is not None and first.status is JobStatus.PROCESSING and first.attempt == 1
    second = store.start(job.id, "run-2", "demo@1")
    assert second is not None and second.attempt == 2
    assert second.started_at == first.started_at
    assert not store.add_window(job.id, "run-1", "v", window(0), 0.1)
    assert not store.succeed(job.id, "run-1", transcript())
    assert not store.fail(job.id, "run-1", ERROR)
    assert not store.release(job.id, "run-1")
    assert store.add_window(job.id, "run-2", "v", window(0), 0.1)
    assert store.succeed(job.id, "run-2", transcript())


def test_start_repeated_by_the_client_counts_once(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    assert store.start(job.id, "run-1", "demo@1") == store.start(job.id, "run-1", "demo@1")
    assert store.get(job.id).attempt == 1


def test_start_of_ended_canceled_or_deleted_job_gives_none(store: JobStore) -> None:
    failed, canceled, deleted = make_job(), make_job(), make_job()
    for job in (failed, canceled, deleted):
        store.create(job)
    store.fail(failed.id, None, ERROR)
    store.cancel(canceled.id)
    store.delete(deleted.id)
    assert [store.start(j.id, "r", "b") for j in (failed, canceled, deleted)] == [None] * 3


def test_windows_come_in_order_and_from_any_index(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "b")
    for index in (2, 0, 11, 1, 4):
        assert store.add_window(job.id, "r", "v", window(index), index / 20)
    assert [w.index for w in store.windows(job.id)] == [0, 1, 2, 4, 11]
    assert [w.index for w in store.windows(job.id, "v")] == [0, 1, 2, 4, 11]
    assert store.windows(job.id, "other") == []
    assert [w.index for w in store.windows_from(job.id, 1)] == [1, 2]
    assert store.windows_from(job.id, 3) == []
    assert [w.index for w in store.windows_from(job.id, 0, limit=2)] == [0, 1]


def test_progress_never_goes_back_and_windows_count_once(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "b")
    store.add_window(job.id, "r", "v", window(1), 0.6)
    store.add_window(job.id, "r", "v", window(0), 0.3)
    store.add_window(job.id, "r", "v", window(0), 0.3)
    assert (store.get(job.id).progress, store.get(job.id).n_windows) == (0.6, 2)


def test_windows_of_another_bundle_are_dropped(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "b")
    store.add_window(job.id, "r", "old", window(0), 0.5)
    store.add_window(job.id, "r", "new", window(1), 0.2)
    assert [w.index for w in store.windows(job.id)] == [1]
    assert store.get(job.id).progress == 0.2


def test_succeeded_job_has_its_transcript_and_cannot_change(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "b")
    assert store.succeed(job.id, "r", transcript("hallå"))
    ended = store.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED and ended.progress == 1.0
    assert ended.finished_at is not None
    assert store.transcript(job.id) == transcript("hallå")
    assert store.succeed(job.id, "r", transcript("annat")), "a repeated call is a success"
    assert store.transcript(job.id).text == "hallå"
    assert not store.fail(job.id, "r", ERROR)
    with pytest.raises(JobNotCancelableError):
        store.cancel(job.id)


def test_failed_job_says_why(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    assert store.fail(job.id, None, ERROR)
    assert store.get(job.id).error == ERROR
    with pytest.raises(JobNotFinishedError):
        store.transcript(job.id)


def test_transcript_before_the_end_and_after_its_time(store: JobStore, redis_client: Redis) -> None:
    job = make_job()
    with pytest.raises(JobNotFoundError):
        store.transcript(job.id)
    store.create(job)
    with pytest.raises(JobNotFinishedError):
        store.transcript(job.id)
    store.start(job.id, "r", "b")
    store.succeed(job.id, "r", transcript())
    redis_client.delete(f"stt:transcript:{job.id}")
    with pytest.raises(TranscriptExpiredError):
        store.transcript(job.id)


def test_released_job_waits_again_and_its_run_may_no_longer_write(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r", "b")
    store.add_window(job.id, "r", "v", window(0), 0.5)
    assert store.release(job.id, "r")
    assert store.get(job.id).status is JobStatus.QUEUED
    assert not store.add_window(job.id, "r", "v", window(1), 0.6)
    assert [w.index for w in store.windows(job.id, "v")] == [0], "checkpoints stay"


def test_abandon_counts_each_dead_run_once(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    assert store.abandon(job.id) == 0
    store.start(job.id, "r1", "b")
    assert store.abandon(job.id) == 1
    assert store.abandon(job.id) == 1
    store.start(job.id, "r2", "b")
    assert store.abandon(job.id) == 2
    assert store.get(job.id).abandoned == 2


def test_run_that_was_given_up_too_early_may_still_hand_in_its_work(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r1", "b")
    store.abandon(job.id, "r1")
    assert store.succeed(job.id, "r1", transcript()), "finished work is not thrown away"
    assert store.start(job.id, "r2", "b") is None


def test_abandon_of_a_run_that_was_replaced_leaves_the_new_one_alone(store: JobStore) -> None:
    job = make_job()
    store.create(job)
    store.start(job.id, "r1", "b")
    assert store.abandon(job.id, "r1") == 1
    store.start(job.id, "r2", "b")
    assert store.abandon(job.id, "r1") == 0, "a second sweeper comes late"
    assert store.add_window(job.id, "r2", "v", window(0), 0.5)
    assert store.abandon(job.id, "r2") == 2


def test_canceled_and_deleted_jobs_are_told_in_one_read(store: JobStore) -> None:
    kept, canceled, deleted = make_job(), make_job(), make_job()
    for job in (kept, canceled, deleted):
        store.create(job)
        store.start(job.id, "r", "b")
    assert store.cancel(canceled.id).status is JobStatus.CANCELED
    assert store.cancel(canceled.id).status is JobStatus.CANCELED
    store.delete(deleted.id)
    assert store.canceled([kept.id, canceled.id, deleted.id]) == {canceled.id, deleted.id}
    assert not store.is_canceled(kept.id)
    assert not store.add_window(canceled.id, "r", "v", window(0), 0.5)
    assert not store.succeed(deleted.id, "r", transcript())
    assert store.canceled([]) == set()


def all_values(redis: Redis) -> Iterator[bytes]:
    """Yield every key and every value in Redis."""
    for key in redis.keys("*"):
        yield key
        yield redis.dump(key) or b""


def test_delete_leaves_only_an_event(store: JobStore, redis_client: Redis) -> None:
    job = make_job(batch="b1")
    store.create(job)
    store.start(job.id, "r", "b")
    store.add_window(job.id, "r", "v", window(0), 0.5)
    store.succeed(job.id, "r", transcript())
    assert store.delete(job.id).id == job.id
    with pytest.raises(JobNotFoundError):
        store.delete(job.id)
    assert set(redis_client.keys("*")) == {b"stt:events", b"stt:erased", b"stt:audio:doomed"}
