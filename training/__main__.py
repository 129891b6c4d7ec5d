"""The command line of training: `python -m training COMMAND --config training/configs/NAME.yaml`."""

import argparse
import sys
from pathlib import Path

from services.contract.errors import SttError
from training.config import load_config


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 75 stopped and resumable, 1 error."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("--config", type=Path, required=True)
    train.add_argument("--set", action="append", default=[], dest="overrides")
    train.add_argument("--prepared")
    train.add_argument("--max-time")
    options = parser.parse_args(arguments)
    try:
        return _train(options)
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1


def _train(options: argparse.Namespace) -> int:
    from training.prepare.shards import PreparedCorpus
    from training.train.run import train
    from training.train.stopping import EXIT_RESUMABLE, parse_duration_s

    config = load_config(options.config, options.overrides)
    corpus = PreparedCorpus.open(options.prepared or str(config.work_dir / "prepared"))
    max_time_s = parse_duration_s(options.max_time) if options.max_time else None
    done = train(
        config.model,
        config.train,
        corpus,
        config.work_dir / "run",
        seed=config.seed,
        max_time_s=max_time_s,
    )
    return 0 if done else EXIT_RESUMABLE


if __name__ == "__main__":
    sys.exit(main())
