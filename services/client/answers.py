"""What the API answers, as the client reads it: fields it does not know are ignored.

A client must outlive its server's next version, so these models are looser than the contract's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.contract.errors import ServiceError
from services.contract.schema import ErrorInfo, JobStatus, Seconds

WRONG_ADDRESS = "is this the address of a whisper-sv API?"


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    @classmethod
    def read(cls, content: bytes | str, url: object) -> Self:
        """Return what was answered at an address.

        Raises:
            ServiceError: that is no answer of this API, but a proxy's or another server's.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ServiceError(f"{url} answers something else; {WRONG_ADDRESS}") from error


class RecordingAnswer(Answer):
    """The recording of a job."""

    filename: str = ""
    duration: Seconds = 0.0
    n_bytes: int = Field(0, alias="bytes")
    sha256: str = ""


class JobAnswer(Answer):
    """One job as its owner sees it."""

    id: str
    status: JobStatus
    progress: float = 0.0
    queue_position: int | None = None
    """Jobs ahead of it in the queue, plus one; None once it left the queue."""
    estimate_s: float | None = None
    """Seconds until it is done, as far as the service can tell."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    audio: RecordingAnswer = RecordingAnswer()
    options: Mapping[str, Any] = {}
    batch: str | None = None
    priority: str | None = None
    model: str | None = None
    """Id of the model bundle that made it, or makes it."""
    error: ErrorInfo | None = None


class JobPageAnswer(Answer):
    """Some jobs, newest first, and where the next ones are."""

    data: tuple[JobAnswer, ...]
    next_cursor: str | None = None


class BatchAnswer(Answer):
    """The jobs of one batch, counted."""

    name: str
    counts: Mapping[JobStatus, int]
    audio_s: Seconds = 0.0
    progress: float = 0.0


class ModelAnswer(Answer):
    """A model that the API serves, or a name under which it answers."""

    id: str
    bundle: str | None = None
    languages: tuple[str, ...] = ()
    """Empty means all of Whisper's."""
    tasks: tuple[str, ...] = ()
    demo: bool = False
    """Whether it knows only synthetic speech."""
    short_context: bool = False


class ModelListAnswer(Answer):
    """All models."""

    data: tuple[ModelAnswer, ...]


class WordAnswer(Answer):
    """One word of a segment."""

    word: str
    start: Seconds
    end: Seconds
    probability: float = 1.0


class SegmentAnswer(Answer):
    """A span of text between two timestamps."""

    start: Seconds
    end: Seconds
    text: str
    words: tuple[WordAnswer, ...] | None = None


class SegmentsAnswer(Answer):
    """Newly finished segments of one window."""

    segments: tuple[SegmentAnswer, ...] = ()


class ReadyAnswer(Answer):
    """Whether jobs would be taken."""

    checks: Mapping[str, str]
    """The state of each part: `ok`, or the code of what is wrong."""
