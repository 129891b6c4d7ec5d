"""The command line: `python -m training COMMAND --config training/configs/NAME.yaml`.

Exit codes: 0 done, 75 stopped by its time limit, Ctrl-C or SIGTERM (run the same command again, it
continues), 1 an error in one line on stderr, 2 a wrong command line.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from services.contract.errors import SttError
from services.contract.settings import forbid_reports
from training.storage import machine_fault
from training.time_limit import EXIT_RESUMABLE, OutOfTimeError, TimeLimit, parse_duration_s

if TYPE_CHECKING:
    from training.config import TrainingConfig

Command = Callable[["TrainingConfig", argparse.Namespace], None]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    forbid_reports()
    logging.basicConfig(format="%(name)s: %(message)s")
    logging.getLogger("training").setLevel(logging.INFO)  # libraries only when they warn
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(options)
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    except OSError as error:
        if not (fault := machine_fault(error)):
            raise
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, OutOfTimeError):
        print("stopped: run the same command again and it continues", file=sys.stderr)
        return EXIT_RESUMABLE
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, summary) in _commands().items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--config", type=Path, required=True, help="YAML file")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            dest="overrides",
            metavar="SECTION.KEY=VALUE",
            help="change one value of the config; may be repeated",
        )
        _add_own_options(name, command)
    tokenizer = commands.add_parser("tokenizer", help="rebuild Whisper's tokenizer")
    tokenizer.add_argument("--tiktoken", type=Path, required=True, help="multilingual.tiktoken")
    tokenizer.add_argument("--out", type=Path, required=True)
    return parser


def _add_own_options(name: str, command: argparse.ArgumentParser) -> None:
    if name in ("recipe", "train", "evaluate", "compare"):
        command.add_argument(
            "--max-time", type=_duration, help="stop in time, to be continued, such as 2h50m"
        )
    if name == "prepare":
        command.add_argument("--out", help="folder or URL; work_dir/prepared by default")
        command.add_argument("--export", type=Path, help="also pack it into this .tar.gz")
    if name == "evaluate":
        command.add_argument("--model", help="bundle, checkpoint or hub id; the trained model")
    if name == "compare":
        command.add_argument("--models", nargs="+", required=True, help="the first is the baseline")
    if name == "deploy":
        command.add_argument("--source", help="bundle, URL or hub id; the converted bundle")
        command.add_argument("--force", action="store_true", help="even if it is worse")
    if name == "publish":
        command.add_argument("--dry-run", action="store_true", help="stage, upload nothing")
        command.add_argument("--private", action="store_true", help="make a private repository")


def _run(options: argparse.Namespace) -> None:
    if options.command == "tokenizer":
        _build_tokenizer(options)
        return
    from training.config import load_config, save_config

    overrides = list(options.overrides)
    if getattr(options, "export", None):
        overrides.append(f"prepare.export={options.export}")
    if getattr(options, "force", False):
        overrides.append("deploy.force=true")
    config = load_config(options.config, overrides)
    save_config(config, config.work_dir / "config.yaml")
    command, _ = _commands()[options.command]
    command(config, options)


def _commands() -> dict[str, tuple[Command, str]]:
    return {
        "recipe": (_recipe, "all stages: synthesize, prepare, train, evaluate, convert, deploy"),
        "synthesize": (_synthesize, "text to a speech corpus"),
        "prepare": (_prepare, "recordings and texts to shards"),
        "train": (_train, "shards to a checkpoint"),
        "evaluate": (_evaluate, "error rates and a report"),
        "compare": (_compare, "several models side by side"),
        "convert": (_convert, "checkpoint to a model bundle"),
        "deploy": (_deploy, "bundle to the workers"),
        "rollback": (_rollback, "serve again what was served before the last deploy"),
        "publish": (_publish, "bundle and checkpoint to the hub"),
    }


# Some stages import torch and more: a command waits for what it needs itself, `--help` for nothing.


def _recipe(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.recipe import recipe

    recipe(config, options.max_time)


def _synthesize(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.corpus import synthesize

    synthesize(config)


def _prepare(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.corpus import prepare

    prepare(config, options.out)


def _train(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.recipe import train

    train(config, TimeLimit(options.max_time))


def _evaluate(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.recipe import evaluate

    print(evaluate(config, options.model, TimeLimit(options.max_time)) / "page.html")


def _compare(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training import libraries
    from training.corpus import open_corpus
    from training.evaluate.compare import compare

    libraries.keep_quiet()
    out_dir = config.work_dir / "compare"
    limit = TimeLimit(options.max_time)
    compare(config.evaluate, options.models, open_corpus(config), out_dir, limit)
    print(out_dir / "page.html")


def _convert(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.recipe import convert

    print(convert(config))


def _deploy(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.deployment import deploy

    deploy(config, options.source)


def _rollback(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.deployment import rollback

    print(rollback(config))


def _publish(config: "TrainingConfig", options: argparse.Namespace) -> None:
    from training.recipe import publish

    print(publish(config, dry_run=options.dry_run, private=options.private))


def _build_tokenizer(options: argparse.Namespace) -> None:
    from training.tokenizer import build_tokenizer

    print(build_tokenizer(options.tiktoken, options.out))


def _duration(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 90s, 45m or 2h50m"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
