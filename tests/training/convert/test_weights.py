"""Writing converted weights where there is no room."""

import errno
import os
from pathlib import Path

import pytest
from ctranslate2.converters import TransformersConverter

from services.contract.errors import ModelBundleError
from training.convert.weights import write_weights


def test_full_disk_is_not_blamed_on_the_checkpoint(
    tmp_path: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TransformersConverter, "convert", convert)
    with pytest.raises(ModelBundleError, match="out: No space left on device; mend that and run"):
        write_weights(tiny_checkpoint_dir, tmp_path / "out", "int8")
