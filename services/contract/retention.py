"""Deleting: at once when somebody asks for it, and when a time to live is over.

What is decided in Redis is carried out after it: a recording is first marked as doomed, in the
same step that forgets its last job, and the mark goes only after the bytes. A crash in between
leaves the mark, and the next sweep finishes the work.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from services.contract.append_only_file import rewrite_after_deletes
from services.contract.audio_store import AudioStore
from services.contract.errors import JobNotFoundError
from services.contract.job_queue import JobQueue
from services.contract.job_scripts import TAKE_TURN
from services.contract.job_store import JobStore
from services.contract.lost_jobs import requeue_lost
from services.contract.redis_client import redis_errors, text
from services.contract.schema import Job, utc_now

DOOMED_KEY = "stt:audio:doomed"
SWEEP_EVERY_S = 60
#: Listing a store is slow, and what it finds is rare: uploads whose process died half-way.
ORPHANS_EVERY_S = 3600
REWRITE_EVERY_S = 600
ORPHAN_AGE_S = 2 * 3600.0
#: One portion is short, however much is due.
MOST_PER_PORTION = 500
#: What `new_key` makes. Nothing else in the folder is ours to delete unasked.
OUR_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class SweepCounts:
    """What one portion of a sweep did."""

    recordings: int = 0
    jobs: int = 0
    orphans: int = 0
    requeued: int = 0


def erase(job_id: str, store: JobStore, queue: JobQueue, audio: AudioStore) -> Job:
    """Delete a job with everything that belongs to it; a running worker drops it.

    A recording that another job uses (a retry with other options) stays until that one goes.

    Raises:
        JobNotFoundError: no such job.
        AudioStoreError: the store does not answer; a later sweep deletes the recording.
    """
    job = store.delete(job_id)
    queue.delete(job_id)
    delete_doomed([job.audio.key], store, audio)
    return job


def sweep(store: JobStore, queue: JobQueue, audio: AudioStore) -> Iterator[SweepCounts]:
    """Delete what is due, portion by portion, and requeue what got lost; yield after each portion.

    Call it every minute from any process: together they sweep once per SWEEP_EVERY_S. Nothing is
    yielded if another process just did. Between two portions a caller may stop.

    Raises:
        AudioStoreError: the store does not answer; what is due stays due.
    """
    if not is_due(store, "sweep", SWEEP_EVERY_S):
        return
    is_first = is_full = True
    while is_full:
        n_released, n_jobs = release_due_audio(store), delete_due_jobs(store, queue)
        n_requeued = put_in_order(store, queue) if is_first else 0
        # A store that does not answer raises here, when all that needs only Redis is done.
        n_recordings = delete_doomed(doomed_keys(store), store, audio)
        n_orphans = 0
        if is_due(store, "orphans", ORPHANS_EVERY_S):
            n_orphans = delete_orphans(store, audio) + audio.sweep_unfinished(ORPHAN_AGE_S)
        yield SweepCounts(n_recordings, n_jobs, n_orphans, n_requeued)
        is_full = MOST_PER_PORTION in (n_released, n_jobs, n_recordings)
        is_first = False


def put_in_order(store: JobStore, queue: JobQueue) -> int:
    """Requeue lost jobs, and let Redis and RQ forget what is gone; return how many were lost."""
    n_requeued = requeue_lost(store, queue)
    queue.forget_ended()
    if is_due(store, "rewrite", REWRITE_EVERY_S):
        rewrite_after_deletes(store.redis)
    return n_requeued


@redis_errors()
def is_due(store: JobStore, what: str, every_s: int) -> bool:
    """Claim a periodic task for this process: lock and timetable in one key that expires."""
    return bool(store.redis.eval(TAKE_TURN, 1, f"stt:lock:{what}", every_s))


def release_due_audio(store: JobStore) -> int:
    """Let go of recordings whose jobs ended more than `audio_ttl_s` ago; return of how many jobs.

    This and what follows takes one portion.
    """
    due = ended_before(store, "audio", store.audio_ttl_s)
    for job_id in due:
        store.release_audio(job_id)
    return len(due)


@redis_errors()
def delete_due_jobs(store: JobStore, queue: JobQueue) -> int:
    """Delete jobs that ended more than `transcript_ttl_s` ago; return how many."""
    due = ended_before(store, "record", store.transcript_ttl_s)
    for job_id in due:
        try:
            store.delete(job_id)
        except JobNotFoundError:  # somebody deleted it meanwhile, or Redis threw it out
            store.redis.zrem("stt:ended:record", job_id)
            continue
        queue.delete(job_id)
    return len(due)


@redis_errors()
def ended_before(store: JobStore, what: str, age_s: int) -> list[str]:
    """Return ids of jobs that ended at least so long ago."""
    latest = utc_now().timestamp() - age_s
    key = f"stt:ended:{what}"
    due = store.redis.zrangebyscore(key, "-inf", latest, start=0, num=MOST_PER_PORTION)
    return [text(job_id) for job_id in cast(list[bytes], due)]


@redis_errors()
def doomed_keys(store: JobStore) -> list[str]:
    """Return recordings that were marked and not yet deleted."""
    some = store.redis.srandmember(DOOMED_KEY, MOST_PER_PORTION)
    return [text(key) for key in cast(list[bytes], some)]


@redis_errors()
def delete_doomed(keys: list[str], store: JobStore, audio: AudioStore) -> int:
    """Delete marked recordings, then their marks; return how many there were."""
    n_deleted = 0
    for key in keys:
        if store.redis.sismember(DOOMED_KEY, key):
            audio.delete(key)
            store.redis.srem(DOOMED_KEY, key)
            n_deleted += 1
    return n_deleted


@redis_errors()
def delete_orphans(store: JobStore, audio: AudioStore) -> int:
    """Delete old recordings that no job uses: their upload died before its job was made."""
    old = [key for key in audio.keys(older_than_s=ORPHAN_AGE_S) if OUR_KEY.fullmatch(key)]
    pipe = store.redis.pipeline(transaction=False)
    for key in old:
        pipe.exists(f"stt:audio:{key}")
    unused = [key for key, used in zip(old, pipe.execute(), strict=True) if not used]
    for key in unused:
        audio.delete(key)
    return len(unused)
