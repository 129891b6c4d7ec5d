"""Fixtures of the contract tests: a job, a store, a queue."""

from collections.abc import Callable

import pytest
from redis import Redis

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

MakeJob = Callable[..., Job]


def make_job(*, owner: str = "public", duration: float = 12.5, **changes: object) -> Job:
    """Build a queued job; what is not named has the value that most tests need."""
    job_id = new_job_id()
    audio = AudioRef(key=f"a{job_id}", sha256="0" * 64, n_bytes=1000, duration=duration)
    job = Job(
        id=job_id,
        owner=owner,
        status=JobStatus.QUEUED,
        audio=audio,
        options=TranscriptionOptions(),
        lane=Lane.INTERACTIVE,
        created_at=utc_now(),
    )
    return job.model_copy(update=changes)


@pytest.fixture
def store(redis_client: Redis) -> JobStore:
    """A job store on an empty Redis."""
    return JobStore(redis_client, transcript_ttl_s=600, audio_ttl_s=300)


@pytest.fixture
def queue(redis_client: Redis) -> JobQueue:
    """The queues on an empty Redis."""
    return JobQueue(redis_client)
