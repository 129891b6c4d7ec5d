"""Kaggle: the kernel runs on folders, the pushing against a stand-in of Kaggle's command line.

The stand-in runs the pushed kernel for real, with the inputs that its metadata asks for, and keeps
its output only if the kernel succeeds, as Kaggle does.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.training.platforms.stub_project import N_STOPS, write_project
from training.platforms.kaggle import kernel, push

KAGGLE = """#!{python} -IS
import json, pathlib, shutil, subprocess, sys
site = pathlib.Path({site!r})
verb, rest = sys.argv[2], sys.argv[3:]
last = site / "output"
if verb == "status":
    if not (site / "state").exists():
        sys.exit("403 - Forbidden")
    states = (site / "state").read_text().split()
    (site / "state").write_text(" ".join(states[1:] or states))
    print(f'{{rest[0]}} has status "KernelWorkerStatus.{{states[0]}}"')
elif verb == "output":
    if (last / "exit_code").exists():
        shutil.copy(last / "exit_code", rest[2])
elif verb == "push":
    given = pathlib.Path(rest[1])
    metadata = json.loads((given / "kernel-metadata.json").read_text())
    with (site / "pushes").open("a") as file:
        file.write(json.dumps(metadata) + "\\n")
    inputs, working = site / "input", site / "working"
    shutil.rmtree(inputs / "earlier", ignore_errors=True)
    if metadata["kernel_sources"] and last.exists():
        shutil.copytree(last, inputs / "earlier")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir()
    code = (
        "import pathlib, runpy, sys; k = runpy.run_path(sys.argv[1]); i, w, p = map(pathlib.Path, "
        "sys.argv[2:]); p.exists() or k['copy_project'](i, p); sys.exit(k['train_once'](i, w, p))"
    )
    arguments = [str(given / metadata["code_file"]), inputs, working, site / "whisper-sv"]
    done = subprocess.run([sys.executable, "-IS", "-c", code, *arguments])
    (site / "state").write_text("QUEUED RUNNING " + ("ERROR" if done.returncode else "COMPLETE"))
    shutil.rmtree(last, ignore_errors=True)
    if done.returncode == 0:
        shutil.copytree(working, last)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plays Kaggle, with a dataset, and its command line on the path."""
    dataset = tmp_path / "input" / "whisper-sv"
    project = write_project(tmp_path / "made" / "project")
    dataset.mkdir(parents=True)
    (dataset / "prepared.tar.gz").write_bytes(b"an archive")
    with tarfile.open(dataset / "project.tar.gz", "w:gz") as packed:
        packed.add(project, "project")
    tool = tmp_path / "bin" / "kaggle"
    tool.parent.mkdir()
    tool.write_text(KAGGLE.format(python=sys.executable, site=str(tmp_path)))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(push, "POLL_S", 0.0)
    return tmp_path


def pushes(site: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (site / "pushes").read_text().splitlines()]


def test_versions_follow_each_other_until_training_is_done(site: Path) -> None:
    assert push.main(["anna"]) == 0
    sources = [version["kernel_sources"] for version in pushes(site)]
    assert sources == [[], *[["anna/whisper-sv-train"]] * N_STOPS]
    assert {version["id"] for version in pushes(site)} == {"anna/whisper-sv-train"}
    assert (site / "output" / "exit_code").read_text() == "0\n"


def test_a_version_that_runs_is_waited_for_and_continued(site: Path) -> None:
    (site / "state").write_text("RUNNING RUNNING COMPLETE")
    (site / "output").mkdir()
    (site / "output" / "exit_code").write_text("75")
    assert push.main(["anna"]) == 0
    assert pushes(site)[0]["kernel_sources"] == ["anna/whisper-sv-train"]


@pytest.mark.slow
def test_a_finished_version_is_continued_unless_asked_to_begin_anew(site: Path) -> None:
    assert push.main(["anna"]) == 0
    assert push.main(["anna"]) == 0
    assert len(pushes(site)) == N_STOPS + 2
    assert push.main(["anna", "--anew"]) == 0
    assert len(pushes(site)) == N_STOPS + 2 + N_STOPS + 1


def test_a_failed_kernel_ends_the_loop(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (site / "input" / "whisper-sv" / "prepared.tar.gz").unlink()
    assert push.main(["anna"]) == 1
    assert len(pushes(site)) == 1
    error = capfd.readouterr().err
    assert "add the dataset with it to the kernel" in error
    assert "kaggle kernels logs anna/whisper-sv-train" in error


def test_without_kaggles_command_line_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert push.main(["anna"]) == 1
    assert "pip install kaggle" in capfd.readouterr().err


def test_sources_and_corpus_are_found_unpacked_too(tmp_path: Path) -> None:
    write_project(tmp_path / "input" / "project")
    prepared = tmp_path / "input" / "prepared"
    prepared.mkdir()
    (prepared / "train-00000.tar").touch()
    kernel.copy_project(tmp_path / "input", tmp_path / "copy")
    assert (tmp_path / "copy" / "training" / "__main__.py").exists()
    assert kernel.corpus(tmp_path / "input") == prepared


def test_the_kernel_needs_nothing_but_python(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", "import runpy, sys; runpy.run_path(sys.argv[1])"]
    subprocess.run([*command, str(kernel.__file__)], cwd=tmp_path, check=True)
