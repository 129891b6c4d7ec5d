"""The Colab notebook: its cells run in order, with a folder in place of the drive."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import training.platforms
from tests.training.platforms.stub_project import N_STOPS, as_repository, write_project

NOTEBOOK = Path(training.platforms.__file__).parent / "colab.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `google.colab.drive.mount` has been asked for, with an archive in it."""
    kept = tmp_path / "drive" / "MyDrive" / "whisper-sv"
    kept.mkdir(parents=True)
    (kept / "prepared.tar.gz").write_bytes(b"an archive")
    colab = ModuleType("google.colab")
    colab.drive = SimpleNamespace(mount=lambda folder: Path(folder).exists() or 1 / 0)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return kept


def run_all(tmp_path: Path, session: str, repository: str = "") -> dict[str, Any]:
    """Run every cell as a new session does; what a reader edits is edited."""
    local = tmp_path / session
    local.mkdir(exist_ok=True)
    changes = {
        "REPOSITORY": repository or str(tmp_path / "repository"),
        "DRIVE": str(tmp_path / "drive"),
        "LOCAL": str(local),
        "INSTALL": ["true"],
    }
    names: dict[str, Any] = {}
    for cell in code_cells():
        exec(compile(cell, "cell", "exec"), names)
        names.update((name, value) for name, value in changes.items() if name in names)
    return names


def test_all_cells_run_and_training_is_repeated_until_done(drive: Path, tmp_path: Path) -> None:
    as_repository(write_project(tmp_path / "repository"))
    assert run_all(tmp_path, "first")["exit_code"] == 0
    calls = [
        json.loads(line)
        for line in (drive / "runs/small-sv/run/log.jsonl").read_text().splitlines()
    ]
    assert len(calls) == N_STOPS + 1
    assert calls[0][:3] == ["recipe", "--config", "training/configs/small-sv.yaml"]
    archive = next(word for word in calls[0] if word.startswith("prepared="))
    assert Path(archive.removeprefix("prepared=")).read_bytes() == b"an archive"


def test_a_second_session_continues_what_lies_on_the_drive(drive: Path, tmp_path: Path) -> None:
    as_repository(write_project(tmp_path / "repository"))
    run_all(tmp_path, "first")
    run_all(tmp_path, "second")
    assert len((drive / "runs/small-sv/run/log.jsonl").read_text().splitlines()) == N_STOPS + 1 + 1


def test_a_failure_stops_the_notebook(drive: Path, tmp_path: Path) -> None:
    project = write_project(tmp_path / "repository")
    (project / "training" / "__main__.py").write_text("raise SystemExit(1)")
    as_repository(project)
    with pytest.raises(SystemExit, match="exit code 1"):
        run_all(tmp_path, "first")


def test_address_that_was_not_filled_in_is_told(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="into the first cell"):
        run_all(tmp_path, "first", repository="https://github.com/OWNER/whisper-sv")


def test_interrupted_copy_of_the_corpus_is_made_again(drive: Path, tmp_path: Path) -> None:
    as_repository(write_project(tmp_path / "repository"))
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "prepared.tar.part").write_bytes(b"half")
    run_all(tmp_path, "first")
    assert (tmp_path / "first" / "prepared.tar.gz").read_bytes() == b"an archive"


def test_the_notebook_holds_no_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
