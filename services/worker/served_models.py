"""The model that new jobs get, and the older ones that running jobs keep until they end.

A newly deployed bundle is verified, loaded and tried beside the old one; only then do new jobs get
it. A bundle that fails is refused with one log line, and the old one goes on serving. It is tried
again, ever more seldom: its reason may pass, as a hub that is away does, or a GPU that is full.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.contract import model_registry
from services.contract.errors import SttError
from services.contract.model_bundle import ModelBundle, verify
from services.contract.settings import WorkerSettings
from services.worker.batch_size import BatchLimits
from services.worker.engine import Engine
from services.worker.model_loader import load

logger = logging.getLogger(__name__)

_BUDGET_S = {"cpu": 0.5, "cuda": 2.0}
#: When a refused model is tried again, in seconds: first, and at most.
_FIRST_RETRY_S, _LONGEST_RETRY_S = 60.0, 3600.0


@dataclass
class _Served:
    engine: Engine
    n_jobs: int = 0


class _Refusal:
    """A model that did not work, and when to try it again."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self._pause_s = _FIRST_RETRY_S
        self._due_at = time.monotonic() + self._pause_s

    def is_due(self) -> bool:
        return time.monotonic() >= self._due_at

    def put_off(self) -> None:
        self._pause_s = min(2 * self._pause_s, _LONGEST_RETRY_S)
        self._due_at = time.monotonic() + self._pause_s


class ServedModels:
    """Engines by use. `start` once, then `use` from every job's thread."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._current: _Served | None = None
        self._all: list[_Served] = []
        self._serving = ""
        self._refusal: _Refusal | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Load the model that the stack serves, and begin to watch for a newer one.

        Raises:
            SttError: it cannot be found, loaded or run.
        """
        deployed = model_registry.current(self._settings.models_dir)
        self._serving = f"{deployed.path}" if deployed else self._settings.model
        self._replace(verify(deployed.path) if deployed else self._resolve())
        threading.Thread(target=self._watch, name="model-watch", daemon=True).start()

    @property
    def engine(self) -> Engine:
        """The engine that a new job would get."""
        if self._current is None:
            raise RuntimeError("start() comes first")
        return self._current.engine

    @contextmanager
    def use(self) -> Iterator[Engine]:
        """Hold the current engine for one job, whatever is deployed meanwhile."""
        with self._lock:
            served = self._current
            if served is None:
                raise RuntimeError("start() comes first")
            served.n_jobs += 1
        try:
            yield served.engine
        finally:
            with self._lock:
                served.n_jobs -= 1
            self._close_unused()

    def hangs(self) -> bool:
        """Whether some engine will never answer."""
        return any(served.engine.hangs() for served in list(self._all))

    def poll(self) -> None:
        """Swap to what is to be served now, if it is something new that works."""
        wanted = ""
        try:
            deployed = model_registry.current(self._settings.models_dir)
            wanted = f"{deployed.path}" if deployed else self._settings.model
            if wanted == self._serving:
                self._refusal = None
            elif self._is_to_be_tried(wanted):
                self._replace(verify(deployed.path) if deployed else self._resolve())
                self._serving, self._refusal = wanted, None
        except SttError as error:
            # An unreadable `current` has no name; its message tells one failure from the next.
            self._refuse(wanted or error.message, error)

    def stop(self) -> None:
        """Stop watching; engines end with the process."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._settings.model_poll_s):
            self.poll()

    def _is_to_be_tried(self, wanted: str) -> bool:
        refusal = self._refusal
        return refusal is None or refusal.wanted != wanted or refusal.is_due()

    def _refuse(self, wanted: str, error: SttError) -> None:
        if self._refusal is not None and self._refusal.wanted == wanted:
            self._refusal.put_off()
            return
        self._refusal = _Refusal(wanted)
        serving = self.engine.model.bundle.id
        logger.error("refused a new model, %s serves on: %s", serving, error.message)

    def _resolve(self) -> ModelBundle:
        settings = self._settings
        return model_registry.resolve(
            settings.model, settings.models_dir, cache_dir=settings.hub_cache_dir
        )

    def _replace(self, bundle: ModelBundle) -> None:
        model, costs = load(bundle, self._settings)
        limits = batch_limits(self._settings, model.device)
        served = _Served(Engine(model, limits, costs))
        with self._lock:
            before, self._current = self._current, served
            self._all.append(served)
        if before is not None:
            old_id = before.engine.model.bundle.id
            logger.info("new jobs get %s; running ones keep %s", bundle.id, old_id)
            self._close_unused()

    def _close_unused(self) -> None:
        with self._lock:
            idle = [s for s in self._all if s is not self._current and s.n_jobs == 0]
            for served in idle:
                self._all.remove(served)
        for served in idle:
            served.engine.close()
            logger.info("unloaded %s", served.engine.model.bundle.id)


def batch_limits(settings: WorkerSettings, device: str) -> BatchLimits:
    """Return how large a batch may be on a device."""
    return BatchLimits(settings.max_batch_windows, settings.batch_budget_s or _BUDGET_S[device])
