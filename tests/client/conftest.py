"""One running stack with the tiny model, for all tests that only use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.client.client import Client
from tests.running_stack import RunningStack


@pytest.fixture(scope="session")
def tiny_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says tiny_model.SENTENCE to everything."""
    # Imported here: torch takes seconds, and most tests do without.
    from tests.tiny_model import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle_dir: Path
) -> Iterator[RunningStack]:
    """A stack that says tiny_model.SENTENCE to everything."""
    running = RunningStack(tmp_path_factory.mktemp("stack"), tiny_bundle_dir)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with Client(stack.url) as connected:
        yield connected
