"""RQ's own record of a waiting job, written out of one that RQ made.

RQ builds a job object to get at its record. That is most of what queueing costs, and all but a few
fields are the same for every job of a lane: RQ makes a sample once, and each job fills in its own.
"""

import zlib
from typing import Any

from rq import Queue, Retry
from rq.job import JobStatus as RqStatus
from rq.utils import utcformat

from services.contract.schema import Job, Seconds, utc_now

#: Dotted path of the one function that workers run; enqueueing never imports it.
TASK = "services.worker.tasks.transcribe"
RESULT_TTL_S = 3600
FAILURE_TTL_S = 24 * 3600
#: The worker counts deaths by itself (`abandoned`); RQ must only never run out before it does.
RETRIES = 10
_SAMPLE_ID = "0" * 32


class RqRecord:
    """The record of any job of one lane."""

    def __init__(self, queue: Queue) -> None:
        """Let RQ make a sample; nothing is sent."""
        sample = queue.create_job(TASK, **terms(_SAMPLE_ID, 0.0), status=RqStatus.QUEUED)
        record = sample.to_dict()
        self._call = zlib.decompress(record["data"])
        self._description = record["description"]
        self._fields = {
            name: value if isinstance(value, str | bytes) else str(value)
            for name, value in record.items()
        }

    def fields(self, job: Job) -> dict[str, str | bytes]:
        """Return what RQ's enqueueing would write of a job, now."""
        now = utcformat(utc_now())
        return self._fields | {
            "created_at": now,
            "enqueued_at": now,
            "data": zlib.compress(self._call.replace(_SAMPLE_ID.encode(), job.id.encode())),
            "description": self._description.replace(_SAMPLE_ID, job.id),
            "timeout": str(timeout_s(job.audio.duration)),
        }


def terms(job_id: str, duration: Seconds) -> dict[str, Any]:
    """Return how RQ is to run a job."""
    return {
        "kwargs": {"job_id": job_id},
        "job_id": job_id,
        "timeout": timeout_s(duration),
        "result_ttl": RESULT_TTL_S,
        "failure_ttl": FAILURE_TTL_S,
        "retry": Retry(max=RETRIES),
        "description": f"transcribe {job_id}",
    }


def timeout_s(duration: Seconds) -> int:
    """Return how long a job may run: a last resort, far above what a slow, shared CPU needs.

    Many jobs share one engine, so each may take many times its own duration; a hung engine is
    noticed long before, by the worker's watchdog.
    """
    return 600 + round(60 * duration)
