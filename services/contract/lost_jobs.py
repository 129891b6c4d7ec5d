"""Jobs that the record calls unfinished and the queue no longer knows.

An outage in which Redis lost its last second leaves some, and so does a process that dies while it
moves a job. They are put back, with their checkpoints.
"""

from contextlib import suppress
from typing import cast

from services.contract.errors import JobNotFoundError
from services.contract.job_index import index_key
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import redis_errors, text
from services.contract.schema import ErrorInfo, Job, JobStatus

LOST_KEY = "stt:lost"
#: A job is lost only if two sweeps in a row find it so: a worker may be between two steps.
MEMORY_S = 600
MOST_DEATHS = 10


def requeue_lost(store: JobStore, queue: JobQueue) -> int:
    """Put lost jobs back into their lane; return how many."""
    lost = confirmed(store, find_lost(store, queue))
    for job_id in lost:
        with suppress(JobNotFoundError):  # somebody deleted it meanwhile
            requeue(store.get(job_id), store, queue)
    return len(lost)


@redis_errors()
def find_lost(store: JobStore, queue: JobQueue) -> set[str]:
    """Return unfinished jobs that neither wait nor are in a worker's hands, in a few round trips.

    What RQ's record says of its status is not asked: it outlives the place that it speaks of.
    """
    ids: list[str] = []
    for status in (JobStatus.QUEUED, JobStatus.PROCESSING):
        rows = cast(list[bytes], store.redis.zrange(index_key(status, "all"), 0, -1))
        ids += [text(row) for row in rows]
    pipe = store.redis.pipeline(transaction=False)
    for job_id in ids:
        pipe.exists(queue.record_key(job_id))
    has_record = pipe.execute()
    waiting = queue.waiting_ids()
    lost = {
        job_id
        for job_id, exists in zip(ids, has_record, strict=True)
        if not exists or job_id not in waiting
    }
    # Read last, as jobs go from one to the other.
    return lost - queue.started_ids() if lost else lost


@redis_errors()
def confirmed(store: JobStore, lost: set[str]) -> set[str]:
    """Remember the lost jobs of this sweep; return those that the sweep before found too."""
    pipe = store.redis.pipeline(transaction=False)
    pipe.smembers(LOST_KEY)
    pipe.delete(LOST_KEY)
    if lost:
        pipe.sadd(LOST_KEY, *lost)
        pipe.expire(LOST_KEY, MEMORY_S)
    return lost & {text(job_id) for job_id in pipe.execute()[0]}


def requeue(job: Job, store: JobStore, queue: JobQueue) -> None:
    """Put one job back, unless it was lost so often that something is wrong with it."""
    if job.abandoned >= MOST_DEATHS:
        message = f"Workers lost the job {job.abandoned} times; send it again."
        store.fail(job.id, None, ErrorInfo(code="worker_lost", message=message))
        return
    store.abandon(job.id)
    queue.delete(job.id)
    queue.enqueue(job)
