"""Fixtures of the contract tests: a job store and the queues, on an empty Redis."""

import pytest
from redis import Redis

from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore


@pytest.fixture
def store(redis_client: Redis) -> JobStore:
    """A job store on an empty Redis."""
    return JobStore(redis_client, transcript_ttl_s=600, audio_ttl_s=300)


@pytest.fixture
def queue(redis_client: Redis) -> JobQueue:
    """The queues on an empty Redis."""
    return JobQueue(redis_client)
