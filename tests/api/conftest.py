"""Fixtures of the API tests: a running API, a client, a worker without a model."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def _module_api(
    _shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
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
