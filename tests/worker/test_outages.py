"""What a worker must sit out, with real processes: no run may be lost, none blamed for it."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.schema import JobStatus, Lane
from tests.redis_server import RedisServer
from tests.waiting import wait_until
from tests.worker import models
from tests.worker.stack import GRACE_S, Stack

pytestmark = pytest.mark.slow

Cut = Callable[[float], NDArray[np.float32]]


def blameless(stack: Stack, job_ids: list[str]) -> bool:
    """Whether each job ran once, and no worker's death was counted."""
    jobs = [stack.store.get(job_id) for job_id in job_ids]
    return all((job.attempt, job.abandoned) == (1, 0) for job in jobs)


def test_a_full_redis_is_sat_out(stack: Stack, recording: Cut) -> None:
    stack.start_worker(seconds_per_call=0.3, STT_LEASE_S="3")
    with stack.holding():
        jobs = [stack.send(recording(60)) for _ in range(4)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    stack.redis.config_set("maxmemory", 1)
    wait_until(lambda: "a run waits" in stack.logs(), what="a window that waits")
    time.sleep(4)  # longer than a lease
    stack.redis.config_set("maxmemory", 0)
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert blameless(stack, jobs)
    assert stack.logs().count("could not renew leases") == 1, "one line is enough"


def test_a_job_that_ends_while_redis_is_full_is_one_line(stack: Stack, recording: Cut) -> None:
    """Its transcript is stored, what RQ notes is refused."""
    stack.start_worker(seconds_per_call=3, STT_LEASE_S="3")
    job = stack.send(recording(5))
    stack.wait_for([job], JobStatus.PROCESSING)
    stack.redis.config_set("maxmemory", 1)
    wait_until(lambda: "outcome not stored" in stack.logs(), what="a job that ends")
    stack.redis.config_set("maxmemory", 0)
    stack.wait_for([job], JobStatus.SUCCEEDED)
    assert "Traceback" not in stack.logs()
    assert blameless(stack, [job])


def test_a_worker_stops_well_while_redis_is_full(stack: Stack, recording: Cut) -> None:
    worker = stack.start_worker(seconds_per_call=0.3)
    with stack.holding():
        jobs = [stack.send(recording(60)) for _ in range(2)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    stack.redis.config_set("maxmemory", 1)
    wait_until(lambda: "a run waits" in stack.logs(), what="a window that waits")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(GRACE_S) == 0
    stack.redis.config_set("maxmemory", 0)
    stack.start_worker()
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert [stack.store.get(job_id).abandoned for job_id in jobs] == [0, 0]


def test_a_worker_stops_in_time_although_redis_is_silent(
    stack: Stack, redis_server: RedisServer, recording: Cut
) -> None:
    worker = stack.start_worker(seconds_per_call=0.3)
    with stack.holding():
        jobs = [stack.send(recording(60)) for _ in range(2)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    redis_server.pause()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(GRACE_S) == 0
    redis_server.resume()
    stack.start_worker()
    stack.wait_for(jobs, JobStatus.SUCCEEDED)


def test_a_store_that_is_away_is_sat_out(stack: Stack, recording: Cut, tmp_path: Path) -> None:
    stack.start_worker()
    recorded = stack.keep(recording(5))
    audio, aside = tmp_path / "audio", tmp_path / "aside"
    audio.rename(aside)
    job = stack.submit(recorded)
    wait_until(lambda: "a run waits" in stack.logs(), what="a run that waits")
    aside.rename(audio)
    stack.wait_for([job], JobStatus.SUCCEEDED)
    assert blameless(stack, [job])


def test_a_worker_that_was_stopped_loses_its_job_once(stack: Stack, recording: Cut) -> None:
    sleeper = stack.start_worker(seconds_per_call=0.3, STT_LEASE_S="4")
    with stack.holding():
        jobs = [stack.send(recording(60)) for _ in range(3)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    sleeper.send_signal(signal.SIGSTOP)
    stack.start_worker(STT_LEASE_S="4")
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    done = [stack.store.transcript(job_id) for job_id in jobs]
    sleeper.send_signal(signal.SIGCONT)
    later = stack.send(recording(5))
    stack.wait_for([later], JobStatus.SUCCEEDED)
    wait_until(lambda: not stack.queue.started_ids(), what="the end of all runs")
    assert [stack.store.transcript(job_id) for job_id in jobs] == done
    assert [stack.store.get(job_id).attempt for job_id in jobs] == [2, 2, 2]
    assert sleeper.poll() is None, "it lives on"


@pytest.mark.parametrize("changes", [{}, {"name": "newer"}], ids=["same model", "newer model"])
def test_a_long_suspect_lets_others_in_once_it_is_past_the_place(
    stack: Stack,
    recording: Cut,
    short_bundle_dir: Path,
    tmp_path: Path,
    changes: dict[str, str],
) -> None:
    """What another model had done of it is no measure."""
    model = tmp_path / "model"
    shutil.copytree(short_bundle_dir, model)
    models.edit_manifest(model, **changes)
    settings = {"STT_LEASE_S": "3", "STT_MAX_BATCH_WINDOWS": "4"}
    doomed = stack.start_worker(seconds_per_call=0.4, **settings)
    long = stack.send(recording(2400), lane=Lane.BULK)
    wait_until(lambda: stack.store.get(long).n_windows >= 20, what="its first windows")
    doomed.kill()
    stack.start_worker(seconds_per_call=0.4, STT_MODEL=str(model), **settings)
    wait_until(lambda: "a suspect runs alone" in stack.logs(), what="quarantine")
    short = stack.send(recording(3))
    stack.wait_for([short], JobStatus.SUCCEEDED)
    assert "a suspect came through" in stack.logs()
    assert stack.status(long) is JobStatus.PROCESSING
    assert 32 <= stack.store.get(long).n_windows < (32 if changes else 52) + 20


def test_a_model_whose_folder_goes_is_served_on_and_missed_at_the_next_start(
    stack: Stack, recording: Cut, short_bundle_dir: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(short_bundle_dir, bundle)
    worker = stack.start_worker(STT_MODEL=str(bundle))
    shutil.rmtree(bundle)
    time.sleep(1)  # five looks for a new model later
    job = stack.send(recording(5))
    stack.wait_for([job], JobStatus.SUCCEEDED)
    assert worker.poll() is None
    again = stack.run_worker(STT_MODEL=str(bundle))
    assert again.returncode == 1
    (line,) = again.stderr.splitlines()
    assert line.startswith("error: ") and str(bundle) in line
