"""The `whisper-sv` command: its verbs. Each is a function in the module that does it."""

import os
import sys

import typer

from services.client import (
    doctor,
    job_commands,
    key_command,
    model_commands,
    transcribe_command,
    up_command,
)
from services.contract.errors import SttError

app = typer.Typer(
    help="Speech to text you can own: run the service, send recordings, deploy models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command; an error of ours is one line and exit status 1."""
    try:
        app()
    except SttError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise SystemExit(1) from None


def api() -> None:
    """Run the API alone; its settings come from the environment."""
    os.execv(sys.executable, [sys.executable, "-m", "services.api"])


def worker() -> None:
    """Run one worker alone; its settings come from the environment."""
    os.execv(sys.executable, [sys.executable, "-m", "services.worker"])


for command in (
    up_command.up,
    transcribe_command.transcribe,
    job_commands.jobs,
    job_commands.cancel,
    model_commands.models,
    model_commands.deploy,
    model_commands.rollback,
    doctor.doctor,
    key_command.key,
    api,
    worker,
):
    app.command()(command)
