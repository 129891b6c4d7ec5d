"""Training commands in processes that have their imports behind them.

Importing torch and transformers takes longer than a small run: a kill at a random moment would
mostly meet the imports.
"""

import multiprocessing
import sys
from multiprocessing.context import ForkServerProcess

from training.__main__ import main

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["training.recipe"])


def start(arguments: list[str]) -> ForkServerProcess:
    """Run `python -m training` with these arguments."""
    process = _forks.Process(target=_run, args=(arguments,))
    process.start()
    return process


def run(arguments: list[str]) -> None:
    """Run it to its end, which must be a good one."""
    process = start(arguments)
    process.join()
    assert process.exitcode == 0


def _run(arguments: list[str]) -> None:
    sys.exit(main(arguments))
