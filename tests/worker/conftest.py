"""Models, engines and recordings for the tests of the worker."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract import model_bundle
from services.contract.settings import WorkerSettings
from services.worker.audio import decode
from services.worker.batch_size import BatchLimits
from services.worker.cost_model import CostModel
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.samples import SAMPLE_RATE
from tests.redis_server import RedisServer
from tests.worker import models
from tests.worker.stack import Stack


@pytest.fixture(scope="session")
def tiny_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says models.SENTENCE whatever it hears, at full context."""
    from tests.tiny_model import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def short_bundle_dir(tiny_bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with short context: quick."""
    path = tmp_path_factory.mktemp("short") / "bundle"
    shutil.copytree(tiny_bundle_dir, path)
    models.edit_manifest(path, name="short", short_context=True)
    return path


@pytest.fixture(scope="session")
def babbling_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose words depend on every sample it hears, in all languages."""
    return models.babbling_bundle(tmp_path_factory.mktemp("babbling") / "bundle")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> WorkerSettings:
    """Settings of a worker on the CPU with nothing deployed."""
    return WorkerSettings(device="cpu", cpu_threads=2, models_dir=tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def open_engine(settings: WorkerSettings) -> Iterator[Callable[[Path], Engine]]:
    """Return a function that gives the engine of a bundle; each is loaded once."""
    engines: dict[Path, Engine] = {}

    def get(path: Path) -> Engine:
        if path not in engines:
            model, costs = load(model_bundle.read(path), settings)
            engines[path] = Engine(model, BatchLimits(max_windows=8, budget_s=60), costs)
        return engines[path]

    yield get
    for engine in engines.values():
        engine.close()


@pytest.fixture
def engine(open_engine: Callable[[Path], Engine], short_bundle_dir: Path) -> Engine:
    """The quick engine."""
    return open_engine(short_bundle_dir)


@pytest.fixture
def engine_of(settings: WorkerSettings, short_bundle_dir: Path) -> Iterator[Callable[..., Engine]]:
    """Return a function that makes an engine of the quick bundle, with limits of its own."""
    made: list[Engine] = []

    def make(
        costs: CostModel, *, max_windows: int, budget_s: float = 60, n_threads: int = 2
    ) -> Engine:
        own = settings.model_copy(update={"cpu_threads": n_threads})
        model, _ = load(model_bundle.read(short_bundle_dir), own)
        made.append(Engine(model, BatchLimits(max_windows, budget_s), costs))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def babbling_engine(open_engine: Callable[[Path], Engine], babbling_bundle_dir: Path) -> Engine:
    """The engine of the random model, with short context: it babbles either way."""
    engine = open_engine(babbling_bundle_dir)
    engine.model.short_context = True
    return engine


@pytest.fixture(scope="session")
def spoken(speech: Callable[..., Path]) -> NDArray[np.float32]:
    """About a minute of sentences between pauses of 0.05 to 4 s, shape (n_samples,)."""
    generator = np.random.default_rng(0)
    parts = []
    for index in range(14):
        words = models.SENTENCES[index % len(models.SENTENCES)]
        parts.append(np.concatenate(list(decode(speech(words, speed=120 + 10 * index)))))
        n_quiet = int(16_000 * generator.uniform(0.05, 4))
        parts.append(generator.normal(0, 0.002, n_quiet).astype(np.float32))
    return np.concatenate(parts)


@pytest.fixture
def recording(spoken: NDArray[np.float32]) -> Callable[[float], NDArray[np.float32]]:
    """Return a function that cuts so many seconds of speech."""
    return lambda seconds: np.resize(spoken, int(seconds * SAMPLE_RATE))


@pytest.fixture
def stack(redis_server: RedisServer, tmp_path: Path, short_bundle_dir: Path) -> Iterator[Stack]:
    """A Redis of its own and no worker yet."""
    made = Stack(redis_server.url, tmp_path, short_bundle_dir)
    yield made
    made.close()
    print(made.logs())
