"""Requests that arrive twice: attach to the running job, and Idempotency-Key.

Only ids and hashes are kept here, never what was asked for.
"""

import hashlib
import json

from redis import Redis

from services.contract import job_scripts
from services.contract.errors import IdempotencyConflictError
from services.contract.job_record import attach_key, from_fields, job_key
from services.contract.redis_client import text
from services.contract.schema import Job, JobStatus, TranscriptionOptions, utc_now

CLAIM_S = 24 * 3600


class Resends:
    """What earlier requests of an owner led to."""

    def __init__(self, redis: Redis) -> None:
        """Prepare the script; nothing is sent yet."""
        self._redis = redis
        self._claim = redis.register_script(job_scripts.CLAIM)

    def find(
        self, owner: str, sha256: str, options: TranscriptionOptions, max_age_s: float
    ) -> Job | None:
        """Return the newest equal job if it is under way or succeeded recently."""
        job_id = self._redis.get(attach_key(owner, sha256, options))
        fields = self._redis.hgetall(job_key(text(job_id))) if job_id else {}
        if not fields:
            return None
        job = from_fields(fields)
        return job if is_attachable(job, max_age_s) else None

    def claim(self, owner: str, key: str, fingerprint: str, job_id: str) -> str | None:
        """Return the job that holds the key, or None after giving it to `job_id`."""
        args: list[str | float] = [fingerprint, job_id, CLAIM_S]
        held = [text(part) for part in self._claim(keys=[claim_key(owner, key)], args=args)]
        if held[0] != fingerprint:
            raise IdempotencyConflictError(
                "This Idempotency-Key was used for another request; use a new one.",
                param="Idempotency-Key",
            )
        return None if held[1] == job_id else held[1]

    def release(self, owner: str, key: str) -> None:
        """Free a key."""
        self._redis.delete(claim_key(owner, key))


def claim_key(owner: str, key: str) -> str:
    """Name the claim; the client's own words are hashed, whatever they are."""
    named = json.dumps([owner, key])
    return f"stt:claim:{hashlib.sha256(named.encode()).hexdigest()}"


def is_attachable(job: Job, max_age_s: float) -> bool:
    """Whether a resend may be answered with this job."""
    if job.status is JobStatus.SUCCEEDED and job.finished_at is not None:
        return (utc_now() - job.finished_at).total_seconds() <= max_age_s
    return not job.status.is_terminal
