"""Runs a training command again for as long as it answers "stopped by a limit, run me again".

    python -m training.platforms.until_done python -m training recipe --config C --max-time 2h50m

Needs Python alone, so that it also works where the project is not installed yet.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

RUN_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: a checkpoint is written, the same command continues.
MOST_RUNS = 200


def until_done(run_once: Callable[[], int], *, most_runs: int = MOST_RUNS) -> int:
    """Call until the exit code is another than 75, and return that one.

    Args:
        run_once: starts one run, waits for its end and returns its exit code.
        most_runs: give up after this many; a run that stops before its first step would
            otherwise be repeated for ever.
    """
    for number in range(1, most_runs + 1):
        code = run_once()
        if code != RUN_AGAIN:
            return code
        print(f"run {number} stopped with a checkpoint, the next one continues", flush=True)
    print(f"error: not done after {most_runs} runs; is the time limit too short?", file=sys.stderr)
    return RUN_AGAIN


def run(command: Sequence[str], cwd: Path | None = None) -> int:
    """Run one process and return its exit code.

    Raises:
        KeyboardInterrupt: this process was asked to stop; the other one has been told and has
            ended, with a checkpoint if it is a training run.
    """
    process = subprocess.Popen(command, cwd=cwd)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def main(command: Sequence[str]) -> int:
    """Repeat the command; a signal ends run and loop, resumable."""
    if not command:
        print("error: name the command to run, see the top of this file", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return until_done(lambda: run(command))
    except KeyboardInterrupt:
        return RUN_AGAIN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
