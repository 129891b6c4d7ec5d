"""What is no source."""

from pathlib import Path

import pytest

from services.contract.errors import DataError
from tests.training.prepare.reading import rows_of


def test_unknown_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").touch()
    with pytest.raises(DataError, match="a.pdf: is no source this reads; give a folder"):
        rows_of(tmp_path / "a.pdf", tmp_path)
