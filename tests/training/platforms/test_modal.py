"""The Modal script, with a stand-in of the package that calls functions on this machine."""

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.training.platforms.stub_project import N_STOPS, write_project


class Image:
    """Records the steps of a build."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, step: str) -> Callable[..., "Image"]:
        def record(*arguments: Any, **options: Any) -> Image:
            self.steps.append((step, arguments))
            return self

        return record


class Function:
    """A decorated function: `remote` runs it here."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.remote, self.options = function, options


class App:
    def __init__(self, name: str) -> None:
        self.name = name

    def function(self, **options: Any) -> Callable[[Callable[..., Any]], Function]:
        return lambda function: Function(function, options)

    def local_entrypoint(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return lambda function: function


class Volume:
    n_commits = 0

    @classmethod
    def from_name(cls, name: str, create_if_missing: bool) -> "Volume":
        return cls()

    def commit(self) -> None:
        self.n_commits += 1


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The script, imported with the stand-in, on a project whose training is a stub."""
    modal: Any = ModuleType("modal")
    modal.App, modal.Volume = App, Volume
    modal.Image = type("Images", (), {"debian_slim": staticmethod(lambda **options: Image())})
    monkeypatch.setitem(sys.modules, "modal", modal)
    script = importlib.import_module("training.platforms.modal_app")
    monkeypatch.setattr(script, "ROOT", write_project(tmp_path / "project"))
    monkeypatch.setattr(script, "DATA", tmp_path / "volume")
    yield script
    del sys.modules["training.platforms.modal_app"]


def test_calls_are_made_until_training_is_done(script: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(max_time="90s")
    assert ended.value.code == 0
    log = (tmp_path / "volume/runs/small-sv/run/log.jsonl").read_text().splitlines()
    assert len(log) == N_STOPS + 1
    assert json.loads(log[0])[-2:] == ["--max-time", "90s"]
    assert script.volume.n_commits == N_STOPS + 1


def test_a_call_ends_before_modal_ends_it(script: Any) -> None:
    hours, minutes = re.fullmatch(r"(\d+)h(\d+)m", script.main.__defaults__[1]).groups()  # type: ignore[union-attr]
    assert int(hours) * 3600 + int(minutes) * 60 < script.train_once.options["timeout"]


def test_what_the_image_copies_exists(script: Any) -> None:
    root = Path(__file__).parents[3]
    copied = [a[0] for step, a in script.image.steps if step.startswith("add_local")]
    assert len(copied) == 3
    assert all(path.exists() and path.is_relative_to(root) for path in copied)
