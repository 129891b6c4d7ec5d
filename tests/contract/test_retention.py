"""Deleting: everything at once on request, and by age; nothing that is still used."""

import os
import time
from pathlib import Path

import pytest
from redis import Redis
from rq import SimpleWorker

from services.contract import retention
from services.contract.append_only_file import rewrite_after_deletes
from services.contract.audio_store import AudioStore, new_key
from services.contract.errors import AudioStoreError, JobNotFoundError
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import connect
from services.contract.retention import SweepCounts, erase, sweep
from services.contract.schema import AudioRef, Job, TranscriptionOptions
from tests.contract.builders import ERROR, make_job, transcript, window
from tests.redis_server import RedisServer
from tests.waiting import wait_until

SECRET = "hemligt ord"


@pytest.fixture
def audio(tmp_path: Path) -> AudioStore:
    """An audio store in a folder."""
    return AudioStore(f"file://{tmp_path}/audio")


def recorded(audio: AudioStore, store: JobStore, **changes: object) -> Job:
    """Upload a recording and create a job for it."""
    key = new_key()
    with audio.writer(key) as writer:
        writer.write(SECRET.encode())
        writer.commit()
    ref = AudioRef(key=key, sha256="0" * 64, n_bytes=11, duration=5, filename=f"{SECRET}.wav")
    job = make_job(audio=ref, options=TranscriptionOptions(initial_prompt=SECRET), **changes)
    store.create(job)
    return job


def run(store: JobStore, job: Job) -> None:
    """Take a job to its end."""
    store.start(job.id, "r", "m")
    store.add_window(job.id, "r", "v", window(0, SECRET), 0.5)
    store.succeed(job.id, "r", transcript(SECRET))


def swept(store: JobStore, queue: JobQueue, audio: AudioStore) -> SweepCounts:
    """Sweep the first portion now, whenever the last sweep was."""
    store.redis.delete("stt:lock:sweep", "stt:lock:orphans", "stt:lock:rewrite")
    return next(sweep(store, queue, audio))


def make_older(store: JobStore, job: Job, by_s: float) -> None:
    """Pretend that a job ended earlier."""
    for what in ("audio", "record"):
        store.redis.zincrby(f"stt:ended:{what}", -by_s, job.id)


def words_in(redis: Redis) -> list[bytes]:
    """Return keys whose name or uncompressed value holds the secret words."""
    wanted = SECRET.encode()
    return [k for k in redis.keys("*") if wanted in k or wanted in (redis.dump(k) or b"")]


@pytest.mark.parametrize("at", ["queued", "running", "ended"])
def test_erase_leaves_no_byte(
    store: JobStore, queue: JobQueue, audio: AudioStore, redis_client: Redis, at: str
) -> None:
    job = recorded(audio, store, batch="b")
    queue.enqueue(job)
    assert words_in(redis_client)
    if at == "running":
        redis_client.lpop(queue.queues[job.lane].key)
        store.start(job.id, "r", "m")
        store.add_window(job.id, "r", "v", window(0, SECRET), 0.5)
    elif at == "ended":
        run(store, job)
    assert erase(job.id, store, queue, audio).id == job.id
    assert set(redis_client.keys("*")) == {b"stt:events", b"stt:erased", b"rq:queues"}
    assert not words_in(redis_client)
    assert list(audio.keys()) == []
    with pytest.raises(JobNotFoundError):
        erase(job.id, store, queue, audio)


def test_erased_job_is_not_written_again_by_the_worker_that_had_it(
    store: JobStore, queue: JobQueue, audio: AudioStore, redis_client: Redis
) -> None:
    job = recorded(audio, store)
    store.start(job.id, "r", "m")
    erase(job.id, store, queue, audio)
    run(store, job)
    store.fail(job.id, None, ERROR)
    store.abandon(job.id)
    store.release(job.id, "r")
    assert set(redis_client.keys("*")) == {b"stt:events", b"stt:erased"}


def test_recording_of_two_jobs_stays_until_both_are_gone(
    store: JobStore, queue: JobQueue, audio: AudioStore
) -> None:
    first = recorded(audio, store)
    retry = make_job(audio=first.audio)
    store.create(retry)
    erase(first.id, store, queue, audio)
    assert audio.exists(first.audio.key)
    erase(retry.id, store, queue, audio)
    assert not audio.exists(first.audio.key)


def test_retry_of_a_job_just_deleted_keeps_the_recording(
    store: JobStore, queue: JobQueue, audio: AudioStore
) -> None:
    first = recorded(audio, store)
    store.delete(first.id)
    store.create(make_job(audio=first.audio))
    assert swept(store, queue, audio).recordings == 0
    assert audio.exists(first.audio.key)


def test_recording_in_a_folder_that_was_away_is_deleted_by_a_later_sweep(
    store: JobStore, queue: JobQueue, audio: AudioStore, tmp_path: Path
) -> None:
    job = recorded(audio, store)
    (tmp_path / "audio").rename(tmp_path / "away")
    with pytest.raises(AudioStoreError):
        erase(job.id, store, queue, audio)
    (tmp_path / "away").rename(tmp_path / "audio")
    assert swept(store, queue, audio).recordings == 1
    assert not audio.exists(job.audio.key)


def test_recording_that_could_not_be_deleted_is_deleted_by_a_later_sweep(
    store: JobStore, queue: JobQueue, audio: AudioStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = recorded(audio, store)

    def broken(_: str) -> None:
        raise AudioStoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(audio, "delete", broken)
        with pytest.raises(AudioStoreError):
            erase(job.id, store, queue, audio)
    assert audio.exists(job.audio.key)
    assert swept(store, queue, audio).recordings == 1
    assert not audio.exists(job.audio.key)


def test_sweep_deletes_audio_first_and_the_job_later(
    store: JobStore, queue: JobQueue, audio: AudioStore, redis_client: Redis
) -> None:
    job, running = recorded(audio, store), recorded(audio, store)
    queue.enqueue(job)
    run(store, job)
    store.start(running.id, "r", "m")
    assert swept(store, queue, audio) == SweepCounts()
    make_older(store, job, store.audio_ttl_s + 1)
    assert swept(store, queue, audio).recordings == 1
    assert not audio.exists(job.audio.key)
    assert store.transcript(job.id).text == SECRET
    make_older(store, job, store.transcript_ttl_s)
    assert swept(store, queue, audio).jobs == 1
    with pytest.raises(JobNotFoundError):
        store.get(job.id)
    assert not queue.contains(job.id)
    assert audio.exists(running.audio.key), "a job under way keeps its audio, however old"


def test_sweep_of_a_job_deletes_its_audio_too(
    redis_client: Redis, queue: JobQueue, audio: AudioStore
) -> None:
    store = JobStore(redis_client, transcript_ttl_s=60, audio_ttl_s=600)
    job = recorded(audio, store)
    run(store, job)
    make_older(store, job, 61)
    counts = swept(store, queue, audio)
    assert (counts.jobs, counts.recordings) == (1, 1)
    assert list(audio.keys()) == []


def test_text_expires_in_redis_even_if_nobody_sweeps(
    store: JobStore, audio: AudioStore, redis_client: Redis
) -> None:
    job = recorded(audio, store)
    run(store, job)
    assert 0 < redis_client.ttl(f"stt:transcript:{job.id}") <= store.transcript_ttl_s
    assert 0 < redis_client.ttl(f"stt:windows:{job.id}") <= store.transcript_ttl_s


def test_store_that_is_away_does_not_keep_jobs_from_being_deleted_and_requeued(
    store: JobStore, queue: JobQueue, audio: AudioStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, lost = recorded(audio, store), recorded(audio, store)
    run(store, old)
    swept(store, queue, audio)
    make_older(store, old, store.transcript_ttl_s + 1)

    def broken(_: str) -> None:
        raise AudioStoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(audio, "delete", broken)
        with pytest.raises(AudioStoreError):
            swept(store, queue, audio)
    assert store.canceled([old.id]) == {old.id}
    assert queue.position(lost) == 1
    assert swept(store, queue, audio).recordings == 1


def test_what_is_due_is_deleted_in_portions(
    store: JobStore, queue: JobQueue, audio: AudioStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_PER_PORTION", 3)
    jobs = [recorded(audio, store) for _ in range(8)]
    for job in jobs:
        run(store, job)
    for job in jobs[:7]:
        make_older(store, job, store.transcript_ttl_s + 1)
    portions = list(sweep(store, queue, audio))
    assert [(counts.jobs, counts.recordings) for counts in portions] == [(3, 3), (3, 3), (1, 1)]
    assert [job.id for job in jobs if not store.canceled([job.id])] == [jobs[7].id]
    assert list(audio.keys(older_than_s=-1)) == [jobs[7].audio.key]


def test_jobs_that_redis_threw_out_do_not_stand_in_the_way_of_others(
    store: JobStore, queue: JobQueue, audio: AudioStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Redis with `allkeys-lru` does, which it must not have."""
    monkeypatch.setattr(retention, "MOST_PER_PORTION", 1)
    thrown_out, due = recorded(audio, store), recorded(audio, store)
    for job in (thrown_out, due):
        run(store, job)
        make_older(store, job, store.transcript_ttl_s + 1)
    make_older(store, thrown_out, 60)
    store.redis.delete(f"stt:job:{thrown_out.id}")
    assert len(list(sweep(store, queue, audio))) == 3
    assert store.canceled([due.id])


def test_only_one_process_sweeps_at_a_time(
    store: JobStore, queue: JobQueue, audio: AudioStore, redis_client: Redis
) -> None:
    assert len(list(sweep(store, queue, audio))) == 1
    assert not list(sweep(store, queue, audio))
    assert 0 < redis_client.ttl("stt:lock:sweep") <= 60


def test_old_recording_without_a_job_is_deleted_and_strangers_files_are_not(
    store: JobStore, queue: JobQueue, audio: AudioStore, tmp_path: Path
) -> None:
    used = recorded(audio, store)
    folder = tmp_path / "audio"
    orphan, part, stranger = (
        folder / new_key(),
        folder / f".{new_key()}.part",
        folder / "holiday",
    )
    for path in (orphan, part, stranger):
        path.write_bytes(b"x")
    for path in folder.iterdir():
        os.utime(path, (time.time() - 10_000,) * 2)
    fresh = folder / new_key()
    fresh.write_bytes(b"x")
    assert swept(store, queue, audio).orphans == 2
    assert {p.name for p in folder.iterdir()} == {used.audio.key, "holiday", fresh.name}


def test_lists_of_rq_hold_only_what_still_has_a_record(
    store: JobStore, queue: JobQueue, audio: AudioStore
) -> None:
    queue.enqueue(job := recorded(audio, store))
    lane = queue.queues[job.lane]
    worker = SimpleWorker([lane], connection=queue.redis, serializer=lane.serializer)
    worker.register_birth()
    lane.finished_job_registry.add(queue.fetch(job.id), ttl=60)
    for registry in (lane.finished_job_registry, lane.failed_job_registry):
        queue.redis.zadd(registry.key, {"gone": time.time() - 1})
    for key in ("rq:workers", f"rq:workers:{lane.name}"):
        queue.redis.sadd(key, "rq:worker:gone")
    swept(store, queue, audio)
    assert queue.redis.zrange(lane.finished_job_registry.key, 0, -1) == [job.id.encode()]
    assert not queue.redis.exists(lane.failed_job_registry.key)
    for key in ("rq:workers", f"rq:workers:{lane.name}"):
        assert queue.redis.smembers(key) == {worker.key.encode()}


def test_rewritten_file_of_redis_holds_no_deleted_words(
    redis_server: RedisServer, audio: AudioStore
) -> None:
    redis = connect(redis_server.url)
    store = JobStore(redis, transcript_ttl_s=600, audio_ttl_s=300)
    job = recorded(audio, store)
    assert SECRET.encode() in on_disk(redis_server)
    erase(job.id, store, JobQueue(redis), audio)
    assert swept(store, JobQueue(redis), audio).jobs == 0
    wait_until(lambda: is_rewritten(redis), timeout_s=30, what="the rewrite of the file")
    assert SECRET.encode() not in on_disk(redis_server)
    assert redis.get("stt:erased") is None


def test_a_rewrite_that_is_refused_is_asked_for_again(
    redis_server: RedisServer, audio: AudioStore
) -> None:
    """One that began before the deletion is still under way."""
    redis = connect(redis_server.url)
    store = JobStore(redis, transcript_ttl_s=600, audio_ttl_s=300)
    job = recorded(audio, store)
    redis.config_set("rdb-key-save-delay", 100_000)  # microseconds
    redis.bgrewriteaof()
    erase(job.id, store, JobQueue(redis), audio)
    assert not rewrite_after_deletes(redis)
    redis.config_set("rdb-key-save-delay", 0)
    wait_until(lambda: is_rewritten(redis), timeout_s=30, what="the first rewrite")
    assert SECRET.encode() in on_disk(redis_server)
    assert rewrite_after_deletes(redis)
    wait_until(lambda: is_rewritten(redis), timeout_s=30, what="the second rewrite")
    assert SECRET.encode() not in on_disk(redis_server)
    assert not rewrite_after_deletes(redis)


def test_redis_without_a_file_is_not_made_to_write_one(redis_server: RedisServer) -> None:
    redis = connect(redis_server.url)
    redis.config_set("appendonly", "no")
    redis.set("stt:erased", "1")
    assert not rewrite_after_deletes(redis)


def on_disk(server: RedisServer) -> bytes:
    """Return all that the server has written."""
    return b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


def is_rewritten(redis: Redis) -> bool:
    """Whether no rewrite of the append-only file runs or waits."""
    state = redis.info("persistence")
    return not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])
