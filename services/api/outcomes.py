"""What an ended job means for a caller that waited for it."""

from services.api.error_handlers import from_code
from services.contract.errors import JobCanceledError, TranscriptionError
from services.contract.schema import Job, JobStatus


def require_succeeded(job: Job) -> None:
    """Raise the typed error that an ended job ended with, unless it succeeded."""
    if job.status is JobStatus.CANCELED:
        raise JobCanceledError("The job was canceled.")
    if job.status is JobStatus.FAILED:
        if job.error is None:
            raise TranscriptionError("The transcription failed.")
        raise from_code(job.error.code, job.error.message)
