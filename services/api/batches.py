"""Batches: jobs that share a name, counted, and their transcripts in one archive."""

import unicodedata
import zipfile
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response, StreamingResponse

from services.api import openapi
from services.api.field_values import KnownBatch, TextFormat
from services.api.filenames import stem_of, storable
from services.api.job_view import BatchView
from services.api.render import FILE_SUFFIXES, render
from services.api.service import Owner, Parts
from services.contract.errors import SttError
from services.contract.job_store import JobStore
from services.contract.schema import Job, JobStatus, TranscriptFormat

router = APIRouter(prefix="/v1/batches", tags=["Batches"])
Name = Annotated[KnownBatch, Path(max_length=100)]
PAGE = 100


@router.get("/{name}", response_model=BatchView, **openapi.errors(401, 404))
def get(name: Name, service: Parts, owner: Owner) -> BatchView:
    """Count the jobs of a batch and say how far it is."""
    counts = service.jobs.batch(owner, name)
    return BatchView(
        name=counts.name,
        n_jobs=counts.n_jobs,
        counts=counts.by_status,
        audio_s=counts.audio_s,
        progress=counts.progress,
    )


@router.get("/{name}/transcripts.zip", **openapi.archive())
def transcripts(name: Name, service: Parts, owner: Owner, format: TextFormat = "text") -> Response:
    """Return the transcripts of all succeeded jobs of a batch, one file each."""
    service.jobs.batch(owner, name)
    headers = {**openapi.attachment(f"{storable(name)}.zip"), "Cache-Control": "no-store"}
    parts = archive(service.jobs, owner, name, format)
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


def archive(
    jobs: JobStore, owner: str, batch: str, transcript_format: TranscriptFormat
) -> Iterator[bytes]:
    """Yield a zip file piece by piece; only one transcript is in memory at a time."""
    pipe = _Pipe()
    names: set[str] = set()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as target:  # type: ignore[call-overload]
        for job in succeeded(jobs, owner, batch):
            try:
                text = render(jobs.transcript(job.id), transcript_format)
            except SttError:
                # Expired or deleted since it was listed.
                continue
            target.writestr(_file_name(job, FILE_SUFFIXES[transcript_format], names), text)
            yield pipe.taken()
    yield pipe.taken()


def succeeded(jobs: JobStore, owner: str, batch: str) -> Iterator[Job]:
    """Yield the batch's jobs that have a transcript, newest first."""
    cursor = None
    while True:
        page = jobs.list_jobs(
            owner, status=JobStatus.SUCCEEDED, batch=batch, limit=PAGE, cursor=cursor
        )
        yield from page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return


class _Pipe:
    """What zipfile writes to; it cannot seek, so the archive can be sent as it grows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _file_name(job: Job, suffix: str, used: set[str]) -> str:
    """Return a name for a job's transcript that no other one has.

    Nor one that differs only in case or in how accents are written: for many systems that is the
    same, and one transcript would be unpacked over the other.
    """
    stem = storable(stem_of(job.audio.filename)) or job.id
    name, number = stem + suffix, 1
    while _same(name) in used:
        number += 1
        name = f"{stem}-{number}{suffix}"
    used.add(_same(name))
    return name


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
