"""Models for the stages after training; built once per run, so tests must not change them."""

from pathlib import Path

import pytest

from tests.tiny_model import tiny_bundle, tiny_checkpoint


@pytest.fixture(scope="session")
def tiny_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder that says one sentence."""
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def other_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other weights."""
    return tiny_checkpoint(tmp_path_factory.mktemp("other") / "checkpoint", seed=1)


@pytest.fixture(scope="session")
def tiny_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle `tiny@1`."""
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")
