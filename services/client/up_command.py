"""The options of `whisper-sv up`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.client.up import UpOptions, run

DataDir = Annotated[
    Path, typer.Option(help="Jobs, recordings, deployed models and logs live in this folder.")
]


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else STT_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one; else STT_PORT.")] = None,
    data_dir: DataDir = Path("data"),
    model: Annotated[
        str | None, typer.Option(help="demo, a hub id[@revision], or a folder; else STT_MODEL.")
    ] = None,
) -> None:
    """Run the whole service on this machine, until Ctrl-C: Redis, API, worker and page."""
    run(UpOptions(host, port, data_dir, model), Console())
