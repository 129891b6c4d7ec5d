"""Fixtures of the API tests: a running API, a client, a worker without a model."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[RunningApi]:
    """The API with default settings."""
    with RunningApi(redis_url, tmp_path) as running:
        yield running


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
