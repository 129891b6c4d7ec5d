"""The one function that RQ calls: a job id in, a stored transcript or a stored error out."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from services.contract.audio_store import AudioStore
from services.contract.errors import InternalError, SttError
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.schema import ErrorInfo, Job, TranscriptionOptions, WindowResult
from services.worker.audio import Source
from services.worker.engine import Engine
from services.worker.job_token import JobInterrupted, JobLost, JobToken, token_of_this_thread
from services.worker.pace import Pace
from services.worker.patience import STORE_PATIENCE_S, outwait
from services.worker.served_models import ServedModels
from services.worker.transcriber import Hooks, Transcriber
from services.worker.windows import CUT_VERSION

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """Everything that a task needs, built once by the process."""

    store: JobStore
    queue: JobQueue
    audio: AudioStore
    models: ServedModels
    pace: Pace
    max_audio_s: float


# RQ calls tasks by dotted path, so the process hands its objects over here: the one module
# variable of the worker.
_runtime: Runtime | None = None


def install(runtime: Runtime) -> None:
    """Make the process's objects known to `transcribe`."""
    global _runtime
    _runtime = runtime


def transcribe(job_id: str) -> dict[str, str]:
    """Run one job to its end, or as far as it may go, and say how it ended.

    Raises:
        JobInterrupted: the worker wants the job back in the queue.
    """
    if _runtime is None:
        raise RuntimeError("install() comes first")
    token = token_of_this_thread()
    with _runtime.models.use() as engine:
        run = (job_id, token.execution_id, engine.model.bundle.id)
        job = outwait(token, _runtime.store.start, *run)
        if job is None:
            return {"outcome": "not wanted"}
        return {"outcome": _run(_runtime, engine, job, token)}


def _run(runtime: Runtime, engine: Engine, job: Job, token: JobToken) -> str:
    started = time.monotonic()
    facts = {"job_id": job.id}
    try:
        _transcribe(runtime, engine, job, token)
    except JobLost:
        logger.info("job is no longer wanted", extra=facts)
        return "lost"
    except JobInterrupted:
        runtime.store.release(job.id, token.execution_id)
        raise
    except SttError as error:
        logger.info("job failed: %s", error.code, extra=facts)
        return _fail(runtime, job, token, error)
    except Exception:  # the outermost frame of a job: a defect of ours must not take others down
        logger.exception("job failed on a defect", extra=facts)
        return _fail(runtime, job, token, InternalError("the worker failed on this recording"))
    seconds = time.monotonic() - started
    factor = seconds / max(job.audio.duration, 0.001)
    logger.info("job done", extra={**facts, "run_s": round(seconds, 3), "rtf": round(factor, 3)})
    return "succeeded"


def _transcribe(runtime: Runtime, engine: Engine, job: Job, token: JobToken) -> None:
    variant = variant_of(engine.model.bundle.id, job.options)
    windows = outwait(token, runtime.store.windows, job.id, variant)
    finished = {window.index: window for window in windows}
    checkpoints = _Checkpoints(runtime.store, job, token, variant, finished)
    key, duration = job.audio.key, job.audio.duration
    with _recording(runtime.audio, key, token) as source, runtime.pace.job(duration):
        transcript = Transcriber(engine, max_duration_s=runtime.max_audio_s).transcribe(
            source,
            job.options,
            job=job.id,
            lane=job.lane,
            hooks=Hooks(on_window=checkpoints.add, check=token.check),
            finished=finished,
        )
    if not outwait(token, runtime.store.succeed, job.id, token.execution_id, transcript):
        raise JobLost(job.id)


def variant_of(bundle_id: str, options: TranscriptionOptions) -> str:
    """Return the key of checkpoints: windows of other options, models or cuts are of no use."""
    named = f"{CUT_VERSION}\n{bundle_id}\n{options.model_dump_json()}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


@contextmanager
def _recording(audio: AudioStore, key: str, token: JobToken) -> Iterator[Source]:
    path = audio.local_path(key)
    if path is not None and path.exists():
        yield path
        return
    patiently = partial(outwait, token, at_most_s=STORE_PATIENCE_S)
    with patiently(audio.open, key, patiently) as file:
        yield file


def _fail(runtime: Runtime, job: Job, token: JobToken, error: SttError) -> str:
    info = ErrorInfo(code=error.code, message=error.message)
    ended = outwait(token, runtime.store.fail, job.id, token.execution_id, info)
    return "failed" if ended else "lost"


class _Checkpoints:
    """Stores each finished window, with the progress up to the first gap."""

    def __init__(
        self,
        store: JobStore,
        job: Job,
        token: JobToken,
        variant: str,
        finished: dict[int, WindowResult],
    ) -> None:
        self._store = store
        self._job = job
        self._token = token
        self._variant = variant
        self._ends = {index: window.end for index, window in finished.items()}
        self._n_in_a_row = 0

    def add(self, window: WindowResult) -> None:
        """Store a window.

        Raises:
            JobLost: the job is canceled, or another run holds it.
        """
        self._ends[window.index] = window.end
        while self._n_in_a_row in self._ends:
            self._n_in_a_row += 1
        done_s = self._ends.get(self._n_in_a_row - 1, 0.0)
        progress = min(1.0, done_s / max(self._job.audio.duration, done_s, 0.001))
        run = (self._job.id, self._token.execution_id, self._variant)
        if not outwait(self._token, self._store.add_window, *run, window, progress):
            raise JobLost(self._job.id)
