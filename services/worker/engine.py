"""The one place where a model runs: windows of all jobs, in batches, under a time budget.

Each of the engine's threads takes the next batch from the shared queue and runs it. A GPU has two.
A CPU has one per group of cores: small batches on few cores each waste less than one large batch on
all of them, and a short recording does not wait for the long one's whole batch.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.contract.errors import GpuMemoryError, SttError, TranscriptionError
from services.contract.schema import Lane
from services.worker.batch_size import BatchLimits, BatchSizes
from services.worker.cost_model import CostModel
from services.worker.decoding import WindowTask, run_batch
from services.worker.model import Model
from services.worker.self_test import still_works
from services.worker.window_queue import WindowQueue

logger = logging.getLogger(__name__)

#: How long a free engine waits for a fuller batch while jobs are known to prepare windows,
_FILL_WAIT_S = 0.01
#: or for this share of what one more window would save: much on a GPU, where a batch of many takes
#: hardly longer than a single window does, and little on a processor.
_FILL_WAIT_SHARE = 0.2
#: and never longer than this share of what a window takes.
_FILL_WAIT_MOST = 0.5
#: How long a free engine leaves bulk work aside for what may follow from a window that people wait
#: for: a doubtful one is read again in parts, and these would wait for a whole batch once more.
_FOLLOW_WAIT_S = 0.02
#: A batch that takes this many times its prediction, and at least that long, hangs.
_HANG_FACTOR = 20
_HANG_S = 60.0


@dataclass
class EngineStatistics:
    """Counters since the start, for metrics and benchmarks."""

    n_batches: int = 0
    n_windows: int = 0
    """Both are counted as a batch begins: whoever has its result finds it counted."""
    busy_s: float = 0.0
    """Seconds in batches that ended."""

    @property
    def mean_fill(self) -> float:
        """Windows per batch."""
        return self.n_windows / self.n_batches if self.n_batches else 0.0


@dataclass(frozen=True)
class _Running:
    since: float
    predicted_s: float


class Engine:
    """Runs windows on one model; closed by `close`."""

    def __init__(self, model: Model, limits: BatchLimits, costs: CostModel) -> None:
        self.model = model
        self.statistics = EngineStatistics()
        self._costs = costs
        self._sizes = BatchSizes(limits, costs)
        self._queue = WindowQueue()
        self._changed = threading.Condition()
        self._n_preparing = Counter[Lane]()
        self._closed = False
        self._is_broken = False
        self._running: dict[int, _Running] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(index,), name=f"engine-{index}", daemon=True)
            for index in range(model.n_parallel)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: WindowTask) -> None:
        """Queue a window; its future gets what `run_batch` finds.

        Raises:
            TranscriptionError: the engine is closed.
        """
        with self._changed:
            if self._closed:
                raise TranscriptionError("the worker is shutting down; the job starts again")
            self._queue.push(task)
            self._changed.notify()

    @contextmanager
    def preparing(self, lane: Lane) -> Iterator[None]:
        """Tell that the caller is about to submit: a batch may wait a moment to be fuller."""
        with self._changed:
            self._n_preparing[lane] += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_preparing[lane] -= 1
                self._changed.notify_all()

    def hangs(self) -> bool:
        """Whether windows will never be answered: a batch does not end, or the model is broken."""
        now = time.monotonic()
        return self._is_broken or any(
            now - running.since > max(_HANG_S, _HANG_FACTOR * running.predicted_s)
            for running in list(self._running.values())
        )

    def judge(self, error: Exception) -> SttError:
        """Return what to tell of a call of the model that failed; see whether it still works."""
        is_known = isinstance(error, SttError) or _is_out_of_memory(error)
        if not is_known and not still_works(self.model):
            self._is_broken = True
        return _translated(error)

    def close(self) -> None:
        """Stop after the running batches; windows that still wait fail."""
        with self._changed:
            self._closed = True
            left = self._queue.drain()
            self._changed.notify_all()
        for task in left:
            _fail(task, TranscriptionError("the model was unloaded; the job starts again"))
        for thread in self._threads:
            thread.join()
        self.model.close()

    def _run(self, index: int) -> None:
        while batch := self._next_batch():
            with self._changed:
                self._note_start(index, batch)
            again = self._settle(batch)
            with self._changed:
                self._note_end(index)
                for task in reversed(again):
                    self._queue.push(task, front=True)
                self._changed.notify(len(again))
                if any(task.lane is Lane.INTERACTIVE for task in batch):
                    self._wait_for_people()

    def _note_start(self, index: int, batch: list[WindowTask]) -> None:
        predicted_s = self._costs.predict(batch[0].key.context, len(batch))
        self._running[index] = _Running(time.monotonic(), predicted_s)
        self.statistics.n_batches += 1
        self.statistics.n_windows += len(batch)

    def _note_end(self, index: int) -> None:
        self.statistics.busy_s += time.monotonic() - self._running.pop(index).since

    def _next_batch(self) -> list[WindowTask] | None:
        """Wait for windows and take a batch of them; None when no more will run."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or len(self._queue))
                if self._closed or self._is_broken:
                    return None
                self._wait_for_more()
                batch = [task for task in self._queue.take(self._sizes.fits) if _is_wanted(task)]
                if batch:
                    return batch

    def _wait_for_more(self) -> None:
        """Let jobs that are about to submit join the batch: a moment for each that comes."""
        began = came = time.monotonic()
        n_before = 0
        while head := self._queue.head():
            context = head.key.context
            n_windows = self._queue.n_like(head, self._sizes.max_windows)
            if n_windows != n_before:
                n_before, came = n_windows, time.monotonic()
            longest = began + _FILL_WAIT_MOST * self._costs.predict(context, 1)
            left = min(came + self._worth_waiting_s(head), longest) - time.monotonic()
            if left <= 0 or self._closed or not self._sizes.fits(context, n_windows + 1):
                return
            self._changed.wait(left)

    def _worth_waiting_s(self, head: WindowTask) -> float:
        """Return how long to wait for one more window; people do not wait for bulk work."""
        n_preparing = self._n_preparing[Lane.INTERACTIVE]
        if head.lane is Lane.BULK:
            n_preparing += self._n_preparing[Lane.BULK]
        if not n_preparing:
            return 0.0
        return max(_FILL_WAIT_S, _FILL_WAIT_SHARE * self._costs.saved_by_joining(head.key.context))

    def _wait_for_people(self) -> None:
        if self._queue.n_waiting(Lane.BULK):  # Otherwise there is nothing to hold back.
            self._changed.wait_for(
                lambda: self._closed or self._queue.n_waiting(Lane.INTERACTIVE), _FOLLOW_WAIT_S
            )

    def _settle(self, batch: list[WindowTask]) -> list[WindowTask]:
        """Run a batch; if it fails, each window alone, so that none suffers for another.

        Returns:
            the windows that go round again.
        """
        began = time.monotonic()
        try:
            again = run_batch(self.model, batch)
        except Exception as error:  # the outermost frame of a thread that all jobs depend on
            return self._settle_failed(batch, error)
        if not batch[0].key.detects:
            with self._changed:
                self._sizes.ran(batch[0].key.context, len(batch), time.monotonic() - began)
        return again

    def _settle_failed(self, batch: list[WindowTask], error: Exception) -> list[WindowTask]:
        if len(batch) == 1:
            self._give_up(batch[0], error)
            return []
        left = [task for task in batch if not task.future.done()]
        if _is_out_of_memory(error):
            logger.warning("no memory for %d windows at once; fewer at a time", len(batch))
            with self._changed:
                self._sizes.ran_out_of_memory(batch[0].key.context, len(batch))
            return left
        logger.warning("a batch failed, its windows run alone", exc_info=error)
        return [again for task in left for again in self._settle([task])]

    def _give_up(self, task: WindowTask, error: Exception) -> None:
        if self._is_broken:
            return
        logger.warning("a window failed", extra={"job_id": task.job}, exc_info=error)
        judged = self.judge(error)
        if not self._is_broken:  # Else it is not the window's fault.
            _fail(task, judged)


def _is_wanted(task: WindowTask) -> bool:
    """Whether anyone waits for it; a window on its second round is running already."""
    return task.future.running() or task.future.set_running_or_notify_cancel()


def _fail(task: WindowTask, error: SttError) -> None:
    if task.future.running() or task.future.set_running_or_notify_cancel():
        task.future.set_exception(error)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether CUDA or cuBLAS says so."""
    said = str(error).lower()
    return "out of memory" in said or "cublas_status_alloc_failed" in said


def _translated(error: Exception) -> SttError:
    if isinstance(error, SttError):
        return error
    if _is_out_of_memory(error):
        return GpuMemoryError(
            "the GPU's memory does not hold a single window; look what else uses it (nvidia-smi), "
            "or set STT_COMPUTE_TYPE=int8_float16"
        )
    return TranscriptionError("the model failed on this recording; the log has the details")
