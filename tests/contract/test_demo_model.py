"""The bundle that ships with the project."""

from pathlib import Path

import pytest

from services.contract.model_bundle import ModelBundle
from services.contract.model_registry import resolve


@pytest.fixture
def demo(tmp_path: Path) -> ModelBundle:
    return resolve("demo", tmp_path / "models")


def test_demo_is_whole_and_says_what_it_is(demo: ModelBundle) -> None:
    assert demo.name == "demo"
    assert demo.is_demo
    assert (demo.languages, demo.tasks, demo.n_mels) == (("sv",), ("transcribe",), 80)


def test_demo_is_small_enough_for_every_clone(demo: ModelBundle) -> None:
    size_bytes = sum((demo.path / name).stat().st_size for name in demo.files)
    assert size_bytes < 25_000_000


def test_demo_reports_its_error_rates(demo: ModelBundle) -> None:
    assert demo.manifest is not None
    results = {result.test_set_name: result for result in demo.manifest.evaluations}
    assert 0 < results["test"].wer_normalised < 1
