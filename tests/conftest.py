"""Fixtures for every part: real Redis, spoken audio, a printed seed.

Fault tests that kill Redis take `redis_server`, a server of their own; all others share one.
"""

import hashlib
import os
import random
import signal
import subprocess
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import hypothesis
import pytest
from redis import Redis

from services.contract.redis_client import connect
from tests.redis_server import RedisServer
from tests.running_stack import RunningStack

SEED_NAME = "TEST_SEED"

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: threads of several processes would wait for each other, spinning.
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure() -> None:
    """Draw the seed before there are processes that must agree on it; assert no times."""
    seed()
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("untimed")


def pytest_report_header() -> str:
    """Print the seed of the run, so that a failure can be repeated with it."""
    return f"{SEED_NAME}={seed()}"


def seed() -> int:
    """Return the seed of this run: from the environment, else drawn once."""
    return int(os.environ.setdefault(SEED_NAME, str(random.SystemRandom().randrange(2**32))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have most slow tests: the last file should not be a long one."""
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: -n_slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell lets what it runs in the background ignore SIGINT; children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(seed())


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), appendfsync="no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(_shared_redis: RedisServer) -> str:
    """Address of a real Redis server, empty at the start of each test."""
    _shared_redis.empty()
    return _shared_redis.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    """A client of an empty Redis server."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis server of this test alone, to kill and restart."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, appendfsync="no")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that speaks Swedish: `speech("Hej", speed=160)` -> 16 kHz mono wav.

    Equal words give the same file; it is made once per run.
    """
    folder = tmp_path_factory.mktemp("speech")

    def speak(words: str, *, voice: str = "sv", speed: int = 160, pitch: int = 50) -> Path:
        name = hashlib.sha256(repr((words, voice, speed, pitch)).encode()).hexdigest()[:16]
        path = folder / f"{name}.wav"
        if not path.exists():
            spoken = path.with_suffix(".spoken.wav")
            options = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(spoken)]
            subprocess.run(["espeak-ng", *options, words], check=True)
            resample(spoken, path)
        return path

    return speak


@pytest.fixture(scope="session")
def tiny_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle `tiny@1`, which says tiny_model.SENTENCE to everything."""
    # Imported here: torch takes seconds, and most tests do without.
    from tests.tiny_model import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle_dir: Path
) -> Iterator[RunningStack]:
    """`whisper-sv up` with the tiny model, for all tests that leave it as they found it."""
    running = RunningStack(tmp_path_factory.mktemp("stack"), tiny_bundle_dir)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def resample(source: Path, target: Path) -> None:
    """Write a wav file as 16 kHz mono 16-bit: espeak-ng speaks at 22,050 Hz."""
    with av.open(str(source)) as spoken, wave.open(str(target), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(16_000)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for frame in [*spoken.decode(audio=0), None]:
            for part in resampler.resample(frame):
                written.writeframes(part.to_ndarray().tobytes())
