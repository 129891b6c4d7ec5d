"""A job as its owner sees it in JSON: what is public of the record, and the links."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.contract.schema import ErrorInfo, Job, JobStatus, Lane, Seconds, TranscriptionOptions

#: Fields that a view has from the record as they are.
SAME = (
    "id",
    "status",
    "progress",
    "n_windows",
    "created_at",
    "started_at",
    "finished_at",
    "options",
    "batch",
    "attempt",
    "error",
)


class View(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class AudioView(View):
    """The recording of a job."""

    filename: str
    content_type: str
    duration: Seconds
    bytes: int
    sha256: str


class Links(View):
    """Where to go from a job."""

    self: str
    events: str
    transcript: str
    audio: str
    cancel: str
    retry: str


class JobView(View):
    """One job."""

    id: str
    object: Literal["job"] = "job"
    status: JobStatus
    progress: float
    """Share of the audio that is transcribed, 0 to 1."""
    n_windows: int
    """Finished windows of at most 30 s."""
    queue_position: int | None = None
    """1 is the next one to run; null when it does not wait, and in lists."""
    estimate_s: Seconds | None = None
    """Seconds until it is done; null when nothing is known, and in lists."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    audio: AudioView
    options: TranscriptionOptions
    batch: str | None
    priority: Lane
    model: str | None
    """The model bundle that it runs, or ran, on."""
    attempt: int
    """How often a worker has started it."""
    error: ErrorInfo | None
    links: Links


class JobList(View):
    """A page of jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobView]
    has_more: bool
    next_cursor: str | None
    """Pass it as `cursor` to get the next page."""


class Deleted(View):
    """What was deleted."""

    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


class BatchView(View):
    """The jobs of one batch, counted."""

    object: Literal["batch"] = "batch"
    name: str
    n_jobs: int
    counts: dict[JobStatus, int]
    """Number of jobs per status."""
    audio_s: Seconds
    """Audio of all jobs together."""
    progress: float
    """Share of that audio that is done, 0 to 1."""


def job_view(job: Job, position: int | None = None, estimate_s: Seconds | None = None) -> JobView:
    """Return the view of a job."""
    here = f"/v1/jobs/{job.id}"
    names = [name for name in Links.model_fields if name != "self"]
    return JobView(
        **{name: getattr(job, name) for name in SAME},
        queue_position=position,
        estimate_s=None if estimate_s is None else round(estimate_s, 1),
        priority=job.lane,
        model=job.bundle,
        audio=AudioView(
            filename=job.audio.filename,
            content_type=job.audio.content_type,
            duration=job.audio.duration,
            bytes=job.audio.n_bytes,
            sha256=job.audio.sha256,
        ),
        links=Links(self=here, **{name: f"{here}/{name}" for name in names}),
    )
