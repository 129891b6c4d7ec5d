"""Jobs, windows and transcripts for the contract tests."""

from services.contract.job_store import new_job_id
from services.contract.schema import (
    AudioRef,
    ErrorInfo,
    Job,
    JobStatus,
    Lane,
    Segment,
    Transcript,
    TranscriptionOptions,
    WindowResult,
    utc_now,
)

ERROR = ErrorInfo(code="internal_error", message="It broke.")


def make_job(*, owner: str = "public", duration: float = 12.5, **changes: object) -> Job:
    """Build a queued job; what is not named has the value that most tests need."""
    job_id = new_job_id()
    audio = AudioRef(key=f"a{job_id}", sha256="0" * 64, n_bytes=1000, duration=duration)
    job = Job(
        id=job_id,
        owner=owner,
        status=JobStatus.QUEUED,
        audio=audio,
        options=TranscriptionOptions(),
        lane=Lane.INTERACTIVE,
        created_at=utc_now(),
    )
    return job.model_copy(update=changes)


def window(index: int, words: str = "hej") -> WindowResult:
    start = index * 30.0
    return WindowResult(
        index=index,
        start=start,
        end=start + 30,
        segments=(Segment(start=start, end=start + 2, text=words),),
        language="sv",
        language_probability=0.99,
        speech_s=2.0,
    )


def transcript(words: str = "hej") -> Transcript:
    segments = (Segment(start=0, end=2, text=words),)
    return Transcript(text=words, segments=segments, language="sv", duration=12.5, bundle="demo@1")
