"""The loop on exit code 75, with real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until
from training.platforms.until_done import run, until_done

ROOT = Path(__file__).parents[3]
LOOP = [sys.executable, "-m", "training.platforms.until_done"]
STOPS_TWICE = """
import pathlib, sys
log = pathlib.Path(sys.argv[1])
with log.open("a") as file:
    file.write("run\\n")
sys.exit(75 if len(log.read_text().splitlines()) <= 2 else int(sys.argv[2]))
"""
WAITS = """
import pathlib, signal, sys
def stop(*_):
    pathlib.Path(sys.argv[1]).write_text("checkpoint")
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).write_text("runs")
signal.pause()
"""


@pytest.mark.parametrize("last", [0, 1])
def test_the_command_runs_until_it_answers_something_else(tmp_path: Path, last: int) -> None:
    log = tmp_path / "log"
    command = [*LOOP, sys.executable, "-c", STOPS_TWICE, str(log), str(last)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == last
    assert log.read_text().count("run") == 3
    assert done.stdout.count("the next one continues") == 2


def test_a_run_that_never_gets_anywhere_is_given_up(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit(75)"]
    assert until_done(lambda: run(command), most_runs=3) == 75
    assert "is the time limit too short" in capfd.readouterr().err


def test_a_signal_reaches_the_run_and_ends_the_loop(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with subprocess.Popen([*LOOP, sys.executable, "-c", WAITS, str(told)], cwd=ROOT) as loop:
        wait_until(lambda: told.exists() and told.read_text() == "runs", what="a run")
        os.kill(loop.pid, signal.SIGTERM)
        assert loop.wait(timeout=300) == 75
    assert told.read_text() == "checkpoint"


def test_no_command_is_a_usage_error() -> None:
    done = subprocess.run(LOOP, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "name the command" in done.stderr
