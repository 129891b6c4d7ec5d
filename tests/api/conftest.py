"""Fixtures of the API tests: a running API, a client, a worker without a model."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.refusals import LIMITS
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.redis_server import RedisServer
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def _module_api(
    _shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    _shared_redis.empty()  # Else it knows the model of another module's worker at first.
    with RunningApi(_shared_redis.url, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def api(_module_api: RunningApi, redis_url: str) -> RunningApi:
    """The API with default settings, shared by a module; Redis and store are empty."""
    _module_api.empty_store()
    return _module_api


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    """An HTTP client of `api`."""
    with api.client() as http:
        yield http


@pytest.fixture
def worker(redis_url: str) -> Iterator[ScriptedWorker]:
    """A running worker without a model."""
    with ScriptedWorker(redis_url) as running:
        yield running


@pytest.fixture(scope="module")
def strict_api(
    _shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    """An API with low limits and a worker, for a whole module."""
    folder = tmp_path_factory.mktemp("strict")
    with (
        ScriptedWorker(_shared_redis.url),
        RunningApi(_shared_redis.url, folder, **LIMITS) as running,
    ):
        yield running


@pytest.fixture
def strict_client(strict_api: RunningApi) -> Iterator[httpx.Client]:
    """A client of it; after the test the service must answer and the store be as it was."""
    before = strict_api.stored()
    with strict_api.client() as http:
        yield http
        assert http.get("/healthz").status_code == 200
    wait_until(lambda: strict_api.stored() == before, what="an empty store")
