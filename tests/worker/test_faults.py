"""What a worker must survive, with real processes: crashes, signals, a Redis that goes away."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract import model_registry
from services.contract.errors import ModelBundleError
from services.contract.schema import JobStatus, Lane, TranscriptionOptions
from services.worker.samples import SAMPLE_RATE
from tests.redis_server import RedisServer
from tests.waiting import wait_until
from tests.worker import models
from tests.worker.stack import GRACE_S, Stack
from tests.worker.staged_worker import BREAKING_SAMPLES, POISON_SAMPLES

pytestmark = pytest.mark.slow

Samples = NDArray[np.float32]


def starts(stack: Stack, job_ids: list[str]) -> list[int]:
    return [stack.store.get(job_id).attempt for job_id in job_ids]


def test_jobs_of_a_killed_worker_finish_on_another(
    stack: Stack, recording: Callable[[float], Samples]
) -> None:
    # Slow enough that none has ended before another worker is there, on a loaded machine too.
    doomed = stack.start_worker(seconds_per_call=4)
    jobs = [stack.send(recording(200)) for _ in range(12)]
    wait_until(
        lambda: (
            sum(stack.store.get(job_id).n_windows for job_id in jobs) >= 4
            and all(stack.status(job_id) is JobStatus.PROCESSING for job_id in jobs)
        ),
        what="12 jobs in flight with some windows",
    )
    stack.start_worker()
    checkpoints = {job_id: stack.store.windows(job_id) for job_id in jobs}
    doomed.kill()
    killed_at = time.monotonic()
    wait_until(lambda: 2 in starts(stack, jobs), what="the first restart")
    assert time.monotonic() - killed_at < 20
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert starts(stack, jobs) == [2] * 12
    for job_id, windows in checkpoints.items():
        after = {window.index: window for window in stack.store.windows(job_id)}
        assert all(after[window.index] == window for window in windows), "done again"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_jobs_back_without_a_retry(
    stack: Stack, recording: Callable[[float], Samples], number: signal.Signals
) -> None:
    worker = stack.start_worker(seconds_per_call=0.5)
    with stack.holding():
        jobs = [stack.send(recording(200), lane=Lane.BULK) for _ in range(6)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    retries = [stack.queue.fetch(job_id).retries_left for job_id in jobs]
    worker.send_signal(number)
    assert worker.wait(GRACE_S) == 0
    assert all(stack.status(job_id) is JobStatus.QUEUED for job_id in jobs)
    assert stack.queue.depth()[Lane.BULK] == 6
    assert [stack.queue.fetch(job_id).retries_left for job_id in jobs] == retries
    assert stack.queue.workers_alive() == []
    stack.start_worker()
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert [stack.store.get(job_id).abandoned for job_id in jobs] == [0] * 6


def test_a_restarted_redis_loses_nothing(
    stack: Stack, redis_server: RedisServer, recording: Callable[[float], Samples]
) -> None:
    stack.start_worker(seconds_per_call=0.5)
    with stack.holding():
        jobs = [stack.send(recording(80)) for _ in range(12)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    redis_server.restart()
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert starts(stack, jobs) == [1] * 12


def test_each_job_runs_once_although_redis_is_away_for_30_s(
    stack: Stack, redis_server: RedisServer, recording: Callable[[float], Samples]
) -> None:
    stack.start_worker(seconds_per_call=0.5)
    stack.start_worker(seconds_per_call=0.5)
    with stack.holding():
        jobs = [stack.send(recording(80)) for _ in range(12)]
        stack.wait_for(jobs, JobStatus.PROCESSING)
    redis_server.kill()
    time.sleep(30)
    redis_server.start()
    stack.wait_for(jobs, JobStatus.SUCCEEDED)
    assert starts(stack, jobs) == [1] * 12
    assert [stack.store.get(job_id).abandoned for job_id in jobs] == [0] * 12


@pytest.mark.parametrize(
    "n_samples",
    [
        pytest.param(POISON_SAMPLES, id="the process falls"),
        pytest.param(BREAKING_SAMPLES, id="the model works no more"),
    ],
)
def test_a_poisonous_clip_is_quarantined_and_its_neighbours_finish(
    n_samples: int, stack: Stack, recording: Callable[[float], Samples]
) -> None:
    stack.start_worker(seconds_per_call=0.3, STT_LEASE_S="4")
    with stack.holding():
        neighbours = [stack.send(recording(40)) for _ in range(3)]
        poison = stack.send(recording(n_samples / SAMPLE_RATE))
        stack.wait_for([*neighbours, poison], JobStatus.PROCESSING)
    for _ in range(2):
        dead = stack.workers[-1]
        wait_until(lambda: dead.poll() is not None, what="the worker to fall")  # noqa: B023
        stack.start_worker(seconds_per_call=0.3, STT_LEASE_S="4")
    stack.wait_for([poison], JobStatus.FAILED)
    failed = stack.store.get(poison)
    assert failed.error is not None and failed.error.code == "poisonous_audio"
    stack.wait_for(neighbours, JobStatus.SUCCEEDED)
    assert stack.workers[-1].poll() is None, "the third worker lives"


def test_a_running_job_is_canceled_quickly_and_others_go_on(
    stack: Stack, recording: Callable[[float], Samples]
) -> None:
    stack.start_worker(seconds_per_call=8)
    long, short = stack.send(recording(600), lane=Lane.BULK), stack.send(recording(20))
    stack.wait_for([long, short], JobStatus.PROCESSING)
    stack.store.cancel(long)
    # Before a window is done, which would find out, too.
    wait_until(lambda: long not in stack.queue.started_ids(), timeout_s=7, what="the run to end")
    stack.wait_for([short], JobStatus.SUCCEEDED)
    assert stack.status(long) is JobStatus.CANCELED


def test_a_job_keeps_its_model_and_the_next_gets_the_new_one(
    stack: Stack, recording: Callable[[float], Samples], short_bundle_dir: Path, tmp_path: Path
) -> None:
    # Long enough to outlast the swap, on a slow machine too.
    stack.start_worker(seconds_per_call=4)
    long = stack.send(recording(450))
    stack.wait_for([long], JobStatus.PROCESSING)
    newer = tmp_path / "newer"
    shutil.copytree(short_bundle_dir, newer)
    models.edit_manifest(newer, name="newer", version="2")
    model_registry.deploy(str(newer), stack.models_dir)
    wait_until(
        lambda: [info.bundle for info in stack.queue.workers_alive()] == ["newer@2"],
        what="the swap",
    )
    assert stack.status(long) is JobStatus.PROCESSING
    later = stack.send(recording(5))
    stack.wait_for([long, later], JobStatus.SUCCEEDED)
    assert stack.store.transcript(long).bundle == "short@1"
    assert stack.store.transcript(later).bundle == "newer@2"
    model_registry.rollback(stack.models_dir)
    wait_until(
        lambda: [info.bundle for info in stack.queue.workers_alive()] == ["short@1"],
        what="the way back",
    )


def test_a_corrupt_model_is_refused_and_the_old_one_serves_on(
    stack: Stack, recording: Callable[[float], Samples], short_bundle_dir: Path, tmp_path: Path
) -> None:
    stack.start_worker()
    corrupt = tmp_path / "corrupt"
    shutil.copytree(short_bundle_dir, corrupt)
    models.edit_manifest(corrupt, name="corrupt")
    (corrupt / "model.bin").write_bytes(b"damaged")
    with pytest.raises(ModelBundleError):
        model_registry.deploy(str(corrupt), stack.models_dir)
    # As if the file had rotted after it was deployed.
    shutil.copytree(corrupt, stack.models_dir / "corrupt" / "1")
    (stack.models_dir / "current").write_text("corrupt/1\n")
    wait_until(lambda: "refused a new model" in stack.logs(), what="the refusal")
    job = stack.send(recording(5))
    stack.wait_for([job], JobStatus.SUCCEEDED)
    assert stack.store.transcript(job).bundle == "short@1"
    time.sleep(1)  # five polls later
    assert stack.logs().count("refused a new model") == 1


def test_interactive_jobs_pass_a_queue_of_bulk_work(
    stack: Stack, recording: Callable[[float], Samples]
) -> None:
    stack.start_worker(seconds_per_call=1, STT_SLOTS="4", STT_INTERACTIVE_SLOTS="1")
    bulk = [stack.send(recording(600), lane=Lane.BULK) for _ in range(6)]
    stack.wait_for(bulk[:3], JobStatus.PROCESSING)
    quick = stack.send(recording(3))
    stack.wait_for([quick], JobStatus.SUCCEEDED)
    assert [stack.status(job_id) for job_id in bulk[3:]] == [JobStatus.QUEUED] * 3


def test_a_foreign_task_name_is_not_run(stack: Stack, tmp_path: Path) -> None:
    from rq import Queue
    from rq.serializers import JSONSerializer

    stack.start_worker()
    target = tmp_path / "made"
    queue = Queue("interactive", connection=stack.redis, serializer=JSONSerializer)
    evil = queue.enqueue("os.mkdir", str(target))
    wait_until(lambda: evil.get_status() == "failed", what="the refusal")
    assert not target.exists()


def test_bad_audio_fails_with_its_own_code(stack: Stack) -> None:
    stack.start_worker()
    silent = stack.send(np.zeros(0, np.float32))
    stack.wait_for([silent], JobStatus.FAILED)
    error = stack.store.get(silent).error
    assert error is not None and error.code == "empty_audio"
    options = TranscriptionOptions(language="fi")
    wrong = stack.send(np.zeros(SAMPLE_RATE, np.float32), options=options)
    stack.wait_for([wrong], JobStatus.FAILED)
    error = stack.store.get(wrong).error
    assert error is not None and error.code == "unsupported_language"
