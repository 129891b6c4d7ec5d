from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.training.publish.hub_stand_in import TOKEN, HubStandIn


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """A hub that knows TOKEN; uploads go over plain HTTP, which it speaks."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    at_once = SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time", at_once)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with HubStandIn() as stand_in:
        yield stand_in
