"""Requests that arrive twice: attach to the running job, and Idempotency-Key.

Only ids and hashes are kept here, never what was asked for.
"""

import hashlib
import json

from redis import Redis

from services.contract import job_scripts
from services.contract.errors import IdempotencyConflictError
from services.contract.job_record import attach_key, from_fields, job_key
from services.contract.redis_client import redis_errors, text
from services.contract.schema import Job, JobStatus, TranscriptionOptions, utc_now

CLAIM_S = 24 * 3600


class Resends:
    """The part of the job store that knows what earlier requests of an owner led to."""

    def __init__(self, redis: Redis) -> None:
        """Prepare the script; nothing is sent yet."""
        self.redis = redis
        self._claim = redis.register_script(job_scripts.CLAIM)

    @redis_errors()
    def find_attachable(
        self, owner: str, sha256: str, options: TranscriptionOptions, max_age_s: float
    ) -> Job | None:
        """Return the job that the same request made before, so that a client's resend joins it.

        It is under way, or succeeded not longer than `max_age_s` ago.
        """
        job_id = self.redis.get(attach_key(owner, sha256, options))
        fields = self.redis.hgetall(job_key(text(job_id))) if job_id else {}
        if not fields:
            return None
        job = from_fields(fields)
        return job if is_attachable(job, max_age_s) else None

    @redis_errors()
    def claim_idempotency(self, owner: str, key: str, fingerprint: str, job_id: str) -> str | None:
        """Tie an Idempotency-Key to a job id for 24 h; return the id it is tied to, if another.

        Args:
            fingerprint: hash of all that the request asks for.
        Raises:
            IdempotencyConflictError: the key came before with another fingerprint.
        """
        args: list[str | float] = [fingerprint, job_id, CLAIM_S]
        held = [text(part) for part in self._claim(keys=[claim_key(owner, key)], args=args)]
        if held[0] != fingerprint:
            raise IdempotencyConflictError(
                "This Idempotency-Key was used for another request; use a new one.",
                param="Idempotency-Key",
            )
        return None if held[1] == job_id else held[1]

    @redis_errors()
    def release_idempotency(self, owner: str, key: str) -> None:
        """Free a key whose job could not be created after all."""
        self.redis.delete(claim_key(owner, key))


def claim_key(owner: str, key: str) -> str:
    """Name the claim; the client's own words are hashed, whatever they are."""
    named = json.dumps([owner, key])
    return f"stt:claim:{hashlib.sha256(named.encode()).hexdigest()}"


def is_attachable(job: Job, max_age_s: float) -> bool:
    """Whether a resend may be answered with this job."""
    if job.status is JobStatus.SUCCEEDED and job.finished_at is not None:
        return (utc_now() - job.finished_at).total_seconds() <= max_age_s
    return not job.status.is_terminal
