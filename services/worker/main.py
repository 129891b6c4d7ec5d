"""The worker process: settings in, everything wired, jobs run until a signal.

python -m services.worker                  run
python -m services.worker --check          load and try the model, print one JSON line
python -m services.worker --healthcheck    exit 0 if a worker of this host is alive
"""

import argparse
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.contract import logs, retention
from services.contract.audio_store import AudioStore
from services.contract.errors import QueueUnavailableError, SttError
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import connect, redis_errors, require_access
from services.contract.settings import WorkerSettings, load
from services.contract.workers import WorkerInfo
from services.worker.memory import share_arenas

if TYPE_CHECKING:
    from services.worker.served_models import ServedModels

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.worker", description=__doc__)
    parser.add_argument("--check", action="store_true", help="load and try the model, then exit")
    parser.add_argument("--healthcheck", action="store_true", help="is a worker here alive?")
    chosen = parser.parse_args(arguments)
    try:
        settings = load(WorkerSettings)
        logs.configure(settings.log_level)
        for chatty in ("rq.worker", "faster_whisper"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if chosen.healthcheck:
            return 0 if is_alive(settings) else 1
        if chosen.check:
            check(settings)
        else:
            run(settings)
    except QueueUnavailableError as error:
        # Its words are for callers of the API; who starts a worker can do more than wait.
        print(f"error: {error.message} Does it run, and is STT_REDIS_URL right?", file=sys.stderr)
        return 1
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    return 0


def is_alive(settings: WorkerSettings) -> bool:
    """Whether a worker on this host has a fresh heartbeat; loads no model library."""
    here = f"{socket.gethostname()}-"
    alive = JobQueue(connect(settings.redis_url)).workers_alive()
    return any(info.name.startswith(here) for info in alive)


def check(settings: WorkerSettings) -> None:
    """Load the model as a worker would and print what came of it as one JSON line.

    Raises:
        SttError: it cannot be found, loaded or run.
    """
    from services.contract.model_registry import served
    from services.worker.model_loader import load
    from services.worker.self_test import self_test

    started = time.monotonic()
    bundle = served(settings.model, settings.models_dir, cache_dir=settings.hub_cache_dir)
    model, _ = load(bundle, settings)
    loaded = time.monotonic()
    self_test(model)
    facts = {
        "ok": True,
        "bundle": bundle.id,
        "device": model.device,
        "compute_type": model.compute_type,
        "demo": bundle.is_demo,
        "load_s": round(loaded - started, 2),
        "decode_s": round(time.monotonic() - loaded, 2),
    }
    print(json.dumps(facts), flush=True)


def run(settings: WorkerSettings) -> None:
    """Serve jobs until SIGTERM; does not return, since library threads may still be busy.

    Raises:
        SttError: the model, the audio store or Redis cannot be used; nothing was registered yet.
    """
    share_arenas()  # Before a library starts a thread.
    from services.worker import metrics, tasks
    from services.worker.batch_worker import BatchWorker, WorkerLimits
    from services.worker.pace import Pace
    from services.worker.served_models import ServedModels
    from services.worker.sweeper import Sweeper

    require_access(settings.redis_url)
    redis = connect(settings.redis_url, for_worker=True)
    store = JobStore(
        redis, transcript_ttl_s=settings.transcript_ttl_s, audio_ttl_s=settings.audio_ttl_s
    )
    queue = JobQueue(redis)
    audio = AudioStore(settings.audio_store_url)
    models = ServedModels(settings)
    models.start()
    pace = Pace(queue.report_real_time_factor)
    tasks.install(tasks.Runtime(store, queue, audio, models, pace, settings.max_audio_s))
    name = f"{socket.gethostname()}-{os.getpid()}"

    def beat(n_busy: int) -> None:
        info = describe(name, models, settings, n_busy)
        queue.report_worker(info, settings.lease_s)

    limits = WorkerLimits(settings.slots, settings.interactive_slots, settings.lease_s)
    sweeper = Sweeper(
        redis,
        queue.queues.values(),
        store,
        lease_s=settings.lease_s,
        max_restarts=settings.max_restarts,
    )
    with redis_errors():  # The first thing that it does is to ask for Redis' version.
        worker = BatchWorker(redis, store, sweeper, limits, beat=beat, hangs=models.hangs)
    metrics.serve(settings.worker_metrics_port, models)
    threading.Thread(target=keep_house, args=(store, queue, audio), daemon=True).start()
    with redis_errors():
        worker.serve()
    with suppress(QueueUnavailableError):  # its lease tells the same a little later
        queue.retire_worker(name)
    logger.info("worker stopped")
    logging.shutdown()
    os._exit(0)


def describe(
    name: str, models: "ServedModels", settings: WorkerSettings, n_busy: int
) -> WorkerInfo:
    """Return what the worker says about itself."""
    engine = models.engine
    model = engine.model
    return WorkerInfo(
        name=name,
        bundle=model.bundle.id,
        device=model.device,
        slots=settings.slots,
        busy=n_busy,
        compute_type=model.compute_type,
        languages=model.bundle.languages,
        tasks=model.bundle.tasks,
        demo=model.bundle.is_demo,
        short_context=model.short_context,
        n_batches=engine.statistics.n_batches,
        n_windows=engine.statistics.n_windows,
    )


def keep_house(store: JobStore, queue: JobQueue, audio: AudioStore) -> None:
    """Delete what is due, every minute, for as long as the process lives."""
    while True:
        try:
            for _ in retention.sweep(store, queue, audio):
                pass
        except SttError as error:
            logger.warning("housekeeping failed, it is tried again: %s", error.message)
        time.sleep(retention.SWEEP_EVERY_S)
