"""One training run on Kaggle, within the time of one session.

Kaggle starts this file alone. It finds the project, the prepared corpus and the run folder of the
version before among its inputs, trains, and leaves run folder and exit code in its output.
"""

import shutil
import subprocess
import sys
from pathlib import Path

CONFIG = "training/configs/small-sv.yaml"
MAX_TIME = "11h"  # A session ends after 12 h; installing and saving the output take their time too.
RUN_AGAIN = 75
INPUTS, WORKING, PROJECT = Path("/kaggle/input"), Path("/kaggle/working"), Path("/tmp/whisper-sv")


def main() -> int:
    """Install, train once, tell how it ended; returns the exit code for Kaggle."""
    copy_project(INPUTS, PROJECT)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"{PROJECT}[train]"], check=True)
    return train_once(INPUTS, WORKING, PROJECT)


def copy_project(inputs: Path, project: Path) -> None:
    """Copy the sources, because inputs are read-only and pip writes beside them."""
    packed = [path for path in inputs.rglob("project.tar.gz") if path.is_file()]
    if packed:
        shutil.unpack_archive(packed[0], project.parent, filter="data")
        (project.parent / "project").rename(project)
    else:
        shutil.copytree(only(inputs, "Dockerfile.train").parent, project)


def train_once(inputs: Path, working: Path, project: Path) -> int:
    """Continue the run of the version before, or begin one.

    Returns:
        0 when done or stopped with a checkpoint: Kaggle keeps no output of a kernel that fails.
        The file exit_code tells the two apart.
    """
    run_folder = working / "run"
    earlier = sorted(inputs.rglob("run/run/fingerprint.json"))
    if earlier:
        shutil.copytree(earlier[0].parents[1], run_folder, dirs_exist_ok=True)
    command = [
        *(sys.executable, "-m", "training", "recipe", "--config", CONFIG),
        *("--set", f"prepared={corpus(inputs)}"),
        *("--set", f"work_dir={run_folder}"),
        *("--set", f"deploy.models_dir={working / 'models'}"),
        *("--max-time", MAX_TIME),
    ]
    code = subprocess.run(command, cwd=project).returncode
    (working / "exit_code").write_text(f"{code}\n")
    return 0 if code == RUN_AGAIN else code


def corpus(inputs: Path) -> Path:
    """Return the prepared corpus: Kaggle unpacks some archives when they are uploaded."""
    archives = sorted(inputs.rglob("prepared.tar.gz"))
    archive = next((path for path in archives if path.is_file()), None)
    return archive or only(inputs, "train-00000.tar").parent


def only(inputs: Path, name: str) -> Path:
    """Return the file of that name, wherever it lies.

    Raises:
        SystemExit: it is in no input.
    """
    found = sorted(inputs.rglob(name))
    if not found:
        raise SystemExit(f"error: no {name} in {inputs}; add the dataset with it to the kernel")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
