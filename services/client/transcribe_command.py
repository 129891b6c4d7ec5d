"""`whisper-sv transcribe`: the options, the view, and what is printed in the end."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.client.client import JobRequest
from services.client.job_commands import Url, configured_client
from services.client.progress_view import make_view
from services.client.recordings import find, outputs, parse_formats
from services.client.transcription_run import Run, Targets, make_folder, summary

#: A batch over night should outlast a restart of the service.
PATIENCE_S = 300.0
INTERRUPTED = 130


def transcribe(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or patterns: 'calls/*.mp3'.")],
    *,
    formats: Annotated[
        str, typer.Option("--format", help="text, srt, vtt, tsv, json, verbose_json; or srt,vtt.")
    ] = "text",
    out: Annotated[Path | None, typer.Option(help="Folder for the transcripts.")] = None,
    batch: Annotated[str | None, typer.Option(help="Name that these jobs share.")] = None,
    language: Annotated[str | None, typer.Option(help="Spoken language: sv, en, ...")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Text that comes before: style, names.")
    ] = None,
    keyword: Annotated[list[str] | None, typer.Option(help="A word to expect.")] = None,
    words: Annotated[bool, typer.Option("--words", help="Time every word.")] = False,
    translate: Annotated[bool, typer.Option("--translate", help="To English.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Recordings at once.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Again, over what is there.")] = False,
    url: Url = None,
) -> None:
    """Transcribe recordings.

    One file is printed, several are written beside their audio, or below --out. A run that was
    broken off goes on where it stopped when the same command is started again.

    No file is written over without --force. A transcript that is there is kept; one that is older
    than its recording fails that recording: it may be somebody's own work.
    """
    recordings = find(paths)
    request = JobRequest(
        language=language,
        prompt=prompt,
        keywords=tuple(keyword or ()),
        words=words,
        task="translate" if translate else None,
        batch=batch,
    )
    forms = parse_formats(formats)
    to_print = out is None and len(recordings) == 1 and not Path(paths[0]).is_dir()
    targets: Targets = (
        {recordings[0]: {form: None for form in forms}}
        if to_print
        else outputs(recordings, forms, out)
    )
    if out is not None:
        make_folder(out)
    _run(targets, request, concurrency, force, url)


def _run(
    targets: Targets, request: JobRequest, concurrency: int, force: bool, url: str | None
) -> None:
    console = Console(stderr=True)
    # Not closed on Ctrl-C: threads that still use it end with the process, in silence.
    client = configured_client(url, patience_s=PATIENCE_S)
    try:
        with make_view(console) as view:
            outcome = Run(client, request, targets, view, concurrency, force).run()
    except KeyboardInterrupt:
        told = "Interrupted. Jobs that were sent go on; the same command picks them up."
        console.print(told, highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    client.close()
    for line in summary(outcome):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if outcome.failures or outcome.stopped_by:
        raise typer.Exit(1)
