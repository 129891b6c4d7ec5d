"""A project whose `python -m training` stops with 75 twice and is then done.

It keeps count in the run folder it is given, as a real run does with its checkpoints: a platform
that loses the folder between two sessions never gets done.
"""

import subprocess
from pathlib import Path

from training.platforms import until_done

N_STOPS = 2
TRAINING = f"""
import json, sys
from pathlib import Path

arguments = sys.argv[1:]
settings = dict(a.split("=", 1) for o, a in zip(arguments, arguments[1:]) if o == "--set")
run = Path(settings["work_dir"]) / "run"
run.mkdir(parents=True, exist_ok=True)
(run / "fingerprint.json").write_text("{{}}")
log = run / "log.jsonl"
with log.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
sys.exit(75 if len(log.read_text().splitlines()) <= {N_STOPS} else 0)
"""


def write_project(folder: Path) -> Path:
    """Write the project, with the loop that is tested."""
    platforms = folder / "training" / "platforms"
    platforms.mkdir(parents=True)
    (folder / "Dockerfile.train").touch()
    for package in (folder / "training", platforms):
        (package / "__init__.py").touch()
    (folder / "training" / "__main__.py").write_text(TRAINING)
    loop = Path(until_done.__file__).read_text()
    (platforms / "until_done.py").write_text(loop)
    return folder


def as_repository(folder: Path) -> str:
    """Make it a git repository to clone from; returns its address."""
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "project"], check=True)
    return str(folder)
