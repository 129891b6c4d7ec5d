"""Runs the kernel of this folder on Kaggle, version after version, until training is done.

    python -m training.platforms.kaggle.push OWNER

Uses Kaggle's own command line, which must be logged in. Interrupt it whenever you like: the version
on Kaggle goes on, and the next call waits for that one first.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from training.platforms.until_done import RUN_AGAIN, until_done

FOLDER = Path(__file__).parent
POLL_S = 60.0
RUNNING = ("QUEUED", "RUNNING", "NEW_SCRIPT", "CANCEL_REQUESTED")


def main(arguments: list[str]) -> int:
    """Push until done; returns the exit code of training."""
    parser = argparse.ArgumentParser(prog="python -m training.platforms.kaggle.push")
    parser.add_argument("owner", help="your name on Kaggle")
    parser.add_argument("--anew", action="store_true", help="forget what earlier versions left")
    options = parser.parse_args(arguments)
    try:
        return train(options.owner, anew=options.anew)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}; install and log in: pip install kaggle", file=sys.stderr)
        return 1


def train(owner: str, *, anew: bool) -> int:
    """Wait for a version that already runs, else start one; go on while they ask for it."""
    kernel = str(metadata(owner)["id"])
    before = status(kernel)
    if is_running(before):
        code = wait(kernel)
    else:
        code = push_and_wait(owner, continue_from=[] if anew or before is None else [kernel])
    if code != RUN_AGAIN:
        return code
    return until_done(lambda: push_and_wait(owner, continue_from=[kernel]))


def push_and_wait(owner: str, *, continue_from: list[str]) -> int:
    """Start a new version, with the output of another kernel among its inputs."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FOLDER / "kernel.py", folder)
        content = {**metadata(owner), "kernel_sources": continue_from}
        (Path(folder) / "kernel-metadata.json").write_text(json.dumps(content))
        kaggle("push", "-p", folder)
    return wait(str(content["id"]))


def wait(kernel: str) -> int:
    """Wait for the newest version; return the exit code that it left in its output."""
    while is_running(status(kernel)):
        time.sleep(POLL_S)
    with tempfile.TemporaryDirectory() as folder:
        kaggle("output", kernel, "-p", folder, "--file-pattern", "^exit_code$")
        left = Path(folder) / "exit_code"
        if left.exists():
            return int(left.read_text())
    print(f"error: it failed; see `kaggle kernels logs {kernel}`", file=sys.stderr)
    return 1


def status(kernel: str) -> str | None:
    """Return Kaggle's sentence about the newest version, None if there is no such kernel."""
    try:
        return kaggle("status", kernel)
    except subprocess.CalledProcessError:
        return None


def is_running(sentence: str | None) -> bool:
    """Tell whether a version waits or runs; all other states are final."""
    return sentence is not None and any(word in sentence.upper() for word in RUNNING)


def metadata(owner: str) -> dict[str, object]:
    """Read kernel-metadata.json with the owner filled in."""
    text = (FOLDER / "kernel-metadata.json").read_text(encoding="utf-8")
    return dict(json.loads(text.replace("OWNER", owner)))


def kaggle(*arguments: str) -> str:
    """Call `kaggle kernels`; what it prints is returned."""
    command = ["kaggle", "kernels", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
