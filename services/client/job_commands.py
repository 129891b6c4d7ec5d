"""`whisper-sv jobs` and `cancel`: look at jobs, and stop them."""

from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.client.answers import JobAnswer
from services.client.client import Client
from services.client.tables import plain_table, show
from services.contract.errors import (
    InvalidRequestError,
    JobNotCancelableError,
    JobNotFoundError,
    SttError,
)
from services.contract.schema import JobStatus
from services.contract.settings import ClientSettings, load

Url = Annotated[str | None, typer.Option(help="Address of the API; else STT_BASE_URL.")]
Batch = Annotated[str | None, typer.Option(help="Only jobs of this batch.")]

STYLES = {
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.CANCELED: "dim",
    JobStatus.PROCESSING: "cyan",
    JobStatus.QUEUED: "yellow",
}


def configured_client(url: str | None, *, patience_s: float = 10.0) -> Client:
    """Return a client for the address and key of the settings."""
    settings = load(ClientSettings)
    key = settings.api_key.get_secret_value()
    return Client(url or settings.base_url, key, patience_s=patience_s)


def jobs(
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    batch: Batch = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    url: Url = None,
) -> None:
    """List jobs, newest first; with --batch also its counts."""
    with configured_client(url) as client:
        found = list(islice(client.jobs(status=status, batch=batch), limit))
        if as_json:
            for job in found:
                typer.echo(job.model_dump_json(by_alias=True))
            return
        if found:
            show(_table(found))
        else:
            typer.echo("No jobs.")
        if batch and found:
            counts = client.batch(batch).counts
            told = ", ".join(f"{n} {status.value}" for status, n in counts.items() if n)
            typer.echo(f"Batch {batch}: {told}")


def cancel(
    job_ids: Annotated[list[str] | None, typer.Argument(help="Ids, as `jobs` shows them.")] = None,
    batch: Annotated[str | None, typer.Option(help="All unfinished jobs of this batch.")] = None,
    url: Url = None,
) -> None:
    """Stop jobs that wait or run."""
    if not job_ids and not batch:
        raise InvalidRequestError("Name the jobs to cancel, or a --batch")
    with configured_client(url) as client:
        wanted = list(job_ids or ())
        if batch:
            client.batch(batch)  # A wrong name is an error, not a batch without jobs.
            wanted += [j.id for j in client.jobs(batch=batch) if not j.status.is_terminal]
        refusals = [error for job_id in wanted if (error := _cancel(client, job_id))]
    typer.echo(f"{len(wanted) - len(refusals)} canceled")
    if any(isinstance(error, JobNotFoundError) for error in refusals):
        raise typer.Exit(1)


def _cancel(client: Client, job_id: str) -> SttError | None:
    """Stop one job; say why, and return it, if there is no such job or it has ended."""
    try:
        client.cancel(job_id)
    except (JobNotCancelableError, JobNotFoundError) as error:
        typer.echo(f"{job_id}: {error.message}", err=True)
        return error
    return None


def _table(found: list[JobAnswer]) -> Table:
    table = plain_table("Job", "Status", "Made", "Audio", "Recording")
    for column in table.columns[:-1]:
        column.no_wrap = True
    table.columns[3].justify = "right"
    for job in found:
        done = f" {job.progress:.0%}" if job.status is JobStatus.PROCESSING else ""
        name = job.audio.filename + (f": {job.error.message}" if job.error else "")
        table.add_row(
            job.id,
            f"[{STYLES[job.status]}]{job.status.value}{done}",
            job.created_at.astimezone().strftime("%m-%d %H:%M"),
            clock(job.audio.duration),
            escape(name),
        )
    return table


def clock(duration_s: float) -> str:
    """Write a duration as people do: 1:05, 2:00:09."""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
