"""Attaching to an earlier equal job, and Idempotency-Key."""

import pytest
from redis import Redis

from services.contract.errors import IdempotencyConflictError
from services.contract.job_store import JobStore
from services.contract.schema import TranscriptionOptions
from tests.contract.builders import ERROR, make_job, transcript

SHA = "0" * 64
PLAIN = TranscriptionOptions()


def test_resend_finds_the_newest_equal_job_under_way(store: JobStore) -> None:
    older, newer = make_job(), make_job()
    store.create(older)
    store.create(newer)
    found = store.find_attachable("public", SHA, PLAIN, 600)
    assert found is not None and found.id == newer.id


def test_equal_jobs_that_are_made_at_the_same_moment_are_one_while_it_is_unfinished(
    store: JobStore,
) -> None:
    first, second = make_job(), make_job()
    assert store.create_or_join(first) is None
    assert store.create_or_join(first) is None, "its own reply was lost"
    assert store.create_or_join(second) == first.id
    assert store.create_or_join(make_job(owner="other")) is None
    store.start(first.id, "run", "m")
    assert store.create_or_join(second) == first.id
    store.cancel(first.id)
    assert store.create_or_join(second) is None


@pytest.mark.parametrize(
    ("owner", "sha256", "options"),
    [
        ("other", SHA, PLAIN),
        ("public", "1" * 64, PLAIN),
        ("public", SHA, TranscriptionOptions(language="sv")),
    ],
)
def test_resend_with_any_difference_finds_nothing(
    store: JobStore, owner: str, sha256: str, options: TranscriptionOptions
) -> None:
    store.create(make_job())
    assert store.find_attachable(owner, sha256, options, 600) is None


def test_resend_joins_a_fresh_result_but_no_old_failed_canceled_or_deleted_one(
    store: JobStore,
) -> None:
    done, failed, canceled, deleted = (make_job() for _ in range(4))
    store.create(done)
    store.start(done.id, "r", "m")
    store.succeed(done.id, "r", transcript())
    found = store.find_attachable("public", SHA, PLAIN, 600)
    assert found is not None and found.id == done.id
    assert store.find_attachable("public", SHA, PLAIN, 0) is None
    store.create(failed)
    store.fail(failed.id, None, ERROR)
    assert store.find_attachable("public", SHA, PLAIN, 600) is None
    store.create(canceled)
    store.cancel(canceled.id)
    assert store.find_attachable("public", SHA, PLAIN, 600) is None
    store.create(deleted)
    store.delete(deleted.id)
    assert store.find_attachable("public", SHA, PLAIN, 600) is None


def test_idempotency_key_leads_to_the_first_job(store: JobStore) -> None:
    first, second, others = make_job(), make_job(), make_job(owner="bertil")
    assert store.create_once(first, "k", "f") is None
    assert store.create_once(first, "k", "f") is None, "sent twice by the client"
    assert store.create_once(second, "k", "f") == first.id
    assert store.create_once(others, "k", "f") is None
    assert [job.id for job in store.list_jobs("public").jobs] == [first.id]


def test_idempotency_key_with_another_request_is_a_conflict(store: JobStore) -> None:
    first, second = make_job(), make_job()
    store.create_once(first, "k", "f")
    with pytest.raises(IdempotencyConflictError):
        store.create_once(second, "k", "other")
    assert store.canceled([second.id]) == {second.id}, "nothing was recorded"


def test_idempotency_key_of_a_deleted_job_is_free(store: JobStore) -> None:
    first, second = make_job(), make_job()
    store.create_once(first, "k", "f")
    store.delete(first.id)
    assert store.create_once(second, "k", "other") is None


def test_idempotency_claim_ends_by_itself_and_keeps_no_words(
    store: JobStore, redis_client: Redis
) -> None:
    store.create_once(make_job(), "a secret key of the client", "f")
    (key,) = redis_client.keys("stt:claim:*")
    assert b"secret" not in key
    assert 86_000 < redis_client.ttl(key) <= 86_400
