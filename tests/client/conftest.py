"""A client of the running stack."""

from collections.abc import Iterator

import pytest

from services.client.client import Client
from tests.running_stack import RunningStack


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with Client(stack.url) as connected:
        yield connected
