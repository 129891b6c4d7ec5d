"""A client of the running stack, and its commands."""

from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from services.client import verbs
from services.client.client import Client
from tests.running_stack import RunningStack


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with Client(stack.url) as connected:
        yield connected


@pytest.fixture
def run(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command against the stack, with wide output."""
    monkeypatch.setenv("STT_BASE_URL", stack.url)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(verbs.app, [str(word) for word in words])
