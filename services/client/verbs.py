"""The verbs of the `whisper-sv` command: each is a function in the module that does it."""

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

app = typer.Typer(
    help="Speech to text you can own: run the service, send recordings, deploy models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
