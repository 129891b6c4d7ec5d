"""Scratch folders: gone at the end, and after a kill gone at the next start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.scratch import scratch_folder

HOLD = """
import sys
from pathlib import Path
from training.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), ".x-") as folder:
    (folder / "weights").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_folder_goes_at_the_end_even_of_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), scratch_folder(tmp_path, ".x-") as folder:
        (folder / "weights").write_text("much")
        raise ValueError("failed")
    assert not list(tmp_path.iterdir())


def test_folder_of_a_killed_process_goes_that_of_a_living_one_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = Path(os.fsdecode(other.stdout.readline().strip()))
        with scratch_folder(tmp_path, ".x-"):
            assert (theirs / "weights").exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert theirs.exists()
    with scratch_folder(tmp_path, ".x-") as ours:
        assert list(tmp_path.iterdir()) == [ours]
