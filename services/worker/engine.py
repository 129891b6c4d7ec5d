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
from services.worker.cost_model import CostModel
from services.worker.decoding import BatchKey, WindowTask, run_batch
from services.worker.model import Model
from services.worker.window_queue import WindowQueue

logger = logging.getLogger(__name__)

#: How long a free engine waits for a fuller batch while jobs are known to prepare windows,
_FILL_WAIT_S = 0.01
#: or for this share of what one more window would save: much on a GPU, where a batch of many takes
#: hardly longer than a single window does, and little on a processor.
_FILL_WAIT_SHARE = 0.2
#: How long a free engine leaves bulk work aside for what may follow from a window that people wait
#: for: a doubtful one is read again in parts, and these would wait for a whole batch once more.
_FOLLOW_WAIT_S = 0.02
#: A batch may take so many times one window, whatever the budget: on a GPU one can take longer
#: than that, and more of them, which cost next to nothing, would never be tried.
_LITTLE_MORE = 1.5
#: After so many batches of one window two may run together, whatever is predicted: a pair that was
#: slow by chance, or as its text was long, would otherwise stay the last one that was tried.
_ALONE_AT_MOST = 16
#: A batch that takes this many times its prediction, and at least that long, hangs.
_HANG_FACTOR = 20
_HANG_S = 60.0


@dataclass(frozen=True)
class EngineLimits:
    """How large a batch may be."""

    max_windows: int
    budget_s: float
    """No batch is started that is predicted to take longer, but for one that takes little more than
    a single window would."""


@dataclass
class EngineStatistics:
    """Counters since the start, for metrics and benchmarks."""

    n_batches: int = 0
    n_windows: int = 0
    busy_s: float = 0.0

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

    def __init__(self, model: Model, limits: EngineLimits, costs: CostModel) -> None:
        self.model = model
        self.statistics = EngineStatistics()
        self._limits = limits
        self._costs = costs
        self._queue = WindowQueue()
        self._changed = threading.Condition()
        self._n_preparing = Counter[Lane]()
        self._n_alone = 0
        self._closed = False
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
        """Whether a batch takes so long that it will never end."""
        now = time.monotonic()
        return any(
            now - running.since > max(_HANG_S, _HANG_FACTOR * running.predicted_s)
            for running in list(self._running.values())
        )

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
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            key, n_windows = batch[0].key, len(batch)
            with self._changed:  # another thread may be adding to the costs
                predicted_s = self._costs.predict(key.context, n_windows)
            self._running[index] = _Running(time.monotonic(), predicted_s)
            again = self._settle(batch)
            seconds = time.monotonic() - self._running.pop(index).since
            with self._changed:
                self._learn(key, n_windows, seconds)
                for task in reversed(again):
                    self._queue.push(task, front=True)
                self._changed.notify(len(again))
                if any(task.lane is Lane.INTERACTIVE for task in batch):
                    self._wait_for_people()

    def _next_batch(self) -> list[WindowTask] | None:
        """Wait for windows and take a batch of them; None when the engine is closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or len(self._queue))
                if self._closed:
                    return None
                self._wait_for_more()
                batch = [task for task in self._queue.take(self._fits) if _is_wanted(task)]
                if batch:
                    return batch

    def _wait_for_more(self) -> None:
        """Let jobs that are about to submit join the batch; never for long."""
        began = time.monotonic()
        while (head := self._queue.head()) and len(self._queue) < self._limits.max_windows:
            left = began + self._worth_waiting_s(head) - time.monotonic()
            if left <= 0 or self._closed:
                return
            self._changed.wait(left)

    def _worth_waiting_s(self, head: WindowTask) -> float:
        """Return how long a batch may wait to be fuller; people do not wait for bulk work."""
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

    def _fits(self, key: BatchKey, n_windows: int) -> bool:
        if n_windows > self._limits.max_windows:
            return False
        if n_windows == 2 and self._n_alone >= _ALONE_AT_MOST:
            return True
        alone_s = self._costs.predict(key.context, 1)
        longest_s = max(self._limits.budget_s, _LITTLE_MORE * alone_s)
        return self._costs.predict(key.context, n_windows) <= longest_s

    def _learn(self, key: BatchKey, n_windows: int, seconds: float) -> None:
        self.statistics.n_batches += 1
        self.statistics.n_windows += n_windows
        self.statistics.busy_s += seconds
        self._n_alone = self._n_alone + 1 if n_windows == 1 else 0
        if not key.detects:
            self._costs.observe(key.context, n_windows, seconds)

    def _settle(self, batch: list[WindowTask]) -> list[WindowTask]:
        """Run a batch; if it fails, each window alone, so that none suffers for another.

        Returns:
            the windows that go round again.
        """
        try:
            return run_batch(self.model, batch)
        except Exception as error:  # the outermost frame of a thread that all jobs depend on
            left = [task for task in batch if not task.future.done()]
            if len(batch) == 1:
                logger.warning("a window failed", extra={"job_id": batch[0].job}, exc_info=error)
                for task in left:
                    _fail(task, _translated(error))
                return []
            logger.warning("a batch failed, its windows run alone", exc_info=error)
            return [again for task in left for again in self._settle([task])]


def _is_wanted(task: WindowTask) -> bool:
    """Whether anyone waits for it; a window on its second round is running already."""
    return task.future.running() or task.future.set_running_or_notify_cancel()


def _fail(task: WindowTask, error: SttError) -> None:
    if task.future.running() or task.future.set_running_or_notify_cancel():
        task.future.set_exception(error)


def _translated(error: Exception) -> SttError:
    if isinstance(error, SttError):
        return error
    if "out of memory" in str(error).lower():
        return GpuMemoryError("the GPU ran out of memory; set a lower STT_MAX_BATCH_WINDOWS")
    return TranscriptionError("the model failed on this recording; the log has the details")
