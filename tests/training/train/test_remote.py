"""Remote copies: complete or not there, few, and found by a fresh machine."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from services.contract.errors import CheckpointError
from tests.training.train.test_checkpoints import every, make
from training.train import checkpoints
from training.train.remote import RemoteCheckpoints


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield (tmp_path / "copies").as_uri()
        return
    yield "memory://copies/run"
    fsspec.filesystem("memory").rm("/copies", recursive=True)


def test_fresh_machine_gets_the_newest_copy(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    remote = RemoteCheckpoints(url, 2, every(1))
    for step in (1, 2):
        remote.copy(make(here, step, 0.5))
    remote.close()
    there = tmp_path / "there"
    RemoteCheckpoints(url, 2, every(1)).fetch(there)
    newest = checkpoints.newest_complete(there)
    assert newest is not None and checkpoints.step_of(newest) == 2
    assert (newest / "model.safetensors").read_bytes() == b"weights" * 2
    assert json.loads((newest / checkpoints.EVALUATION).read_text())["wer"] == 0.5


def test_fresh_machine_gets_the_best_copy_and_never_gives_it_up(url: str, tmp_path: Path) -> None:
    remote = RemoteCheckpoints(url, 1, every(1))
    for step, wer in ((1, 0.4), (2, 0.1), (3, 0.3)):
        remote.copy(make(tmp_path / "here", step, wer))
    remote.close()
    there = tmp_path / "there"
    fresh = RemoteCheckpoints(url, 1, every(1))
    fresh.fetch(there)
    assert checkpoints.best(checkpoints.complete_checkpoints(there)) == there / "checkpoint-2"
    fresh.copy(make(there, 4, 0.2))
    fresh.close()
    filesystem, root = fsspec.core.url_to_fs(url)
    assert filesystem.exists(f"{root}/checkpoint-2/{checkpoints.MARKER}")


def test_what_a_run_was_begun_with_goes_along(url: str, tmp_path: Path) -> None:
    here, there = (tmp_path / name / "checkpoints" for name in ("here", "there"))
    checkpoint = make(here, 1)
    for name in ("fingerprint.json", "baseline.json"):
        (here.parent / name).write_text(f"{name} of the first machine")
    remote = RemoteCheckpoints(url, 2, every(1))
    remote.copy(checkpoint)
    remote.close()
    there.mkdir(parents=True)
    (there.parent / "baseline.json").write_text("its own")
    RemoteCheckpoints(url, 2, every(1)).fetch(there)
    told = "fingerprint.json of the first machine"
    assert (there.parent / "fingerprint.json").read_text() == told
    assert (there.parent / "baseline.json").read_text() == "its own"


def test_copy_without_its_marker_does_not_count(url: str, tmp_path: Path) -> None:
    remote = RemoteCheckpoints(url, 2, every(1))
    remote.copy(make(tmp_path / "here", 1))
    remote.close()
    filesystem, root = fsspec.core.url_to_fs(url)
    filesystem.makedirs(f"{root}/checkpoint-9", exist_ok=True)
    filesystem.pipe_file(f"{root}/checkpoint-9/model.safetensors", b"half")
    RemoteCheckpoints(url, 2, every(1)).fetch(tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["checkpoint-1"]


def test_last_and_best_copies_stay(url: str, tmp_path: Path) -> None:
    remote = RemoteCheckpoints(url, 1, every(1))
    for step, wer in ((1, 0.4), (2, 0.1), (3, 0.3), (4, 0.2)):
        remote.copy(make(tmp_path / "here", step, wer))
    remote.close()
    filesystem, root = fsspec.core.url_to_fs(url)
    names = {str(path).rsplit("/", 1)[-1] for path in filesystem.ls(root, detail=False)}
    assert names == {"checkpoint-2", "checkpoint-4"}


def test_copy_of_a_stop_takes_the_place_of_no_regular_one(url: str, tmp_path: Path) -> None:
    remote = RemoteCheckpoints(url, 2, every(2))
    for step in (2, 4, 6, 7):
        remote.copy(make(tmp_path / "here", step))
    remote.close()
    filesystem, root = fsspec.core.url_to_fs(url)
    names = {str(path).rsplit("/", 1)[-1] for path in filesystem.ls(root, detail=False)}
    assert names == {"checkpoint-4", "checkpoint-6", "checkpoint-7"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/run", "file:///proc/none/run"])
def test_remote_that_cannot_be_written_is_told_before_training(url: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train.remote: .* cannot be used"):
        RemoteCheckpoints(url, 1, every(1)).fetch(tmp_path / "here")


def test_what_is_newer_here_stays(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    remote = RemoteCheckpoints(url, 2, every(1))
    remote.copy(make(here, 1))
    remote.close()
    make(here, 5)
    RemoteCheckpoints(url, 2, every(1)).fetch(here)
    newest = checkpoints.newest_complete(here)
    assert newest is not None and checkpoints.step_of(newest) == 5


def test_failed_copy_is_reported_and_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    remote = RemoteCheckpoints(os.fspath(tmp_path / "file" / "copies"), 1, every(1))
    remote.copy(make(tmp_path / "here", 1))
    remote.close()
    assert "not copied" in caplog.text
