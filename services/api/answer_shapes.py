"""The shapes of answers that are written as text elsewhere, for /openapi.json alone.

Errors are built in error_handlers.py, transcripts in render.py.
"""

from typing import Literal

from pydantic import ConfigDict

from services.api.job_view import View
from services.contract.schema import Quality, Seconds, Task, Word


class ErrorDetails(View):
    """What went wrong."""

    message: str
    """What a person can do."""
    type: str
    param: str | None
    """The field that is meant, if one is."""
    code: str
    """For programs; see docs/api.md."""


class ErrorAnswer(View):
    """Every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": {
                    "message": "The file has no audio stream.",
                    "type": "invalid_request_error",
                    "param": "file",
                    "code": "unsupported_audio",
                }
            }
        }
    )

    error: ErrorDetails


class Language(View):
    """A language that is spoken."""

    code: str


class Usage(View):
    """What was transcribed."""

    type: Literal["duration"]
    seconds: Seconds


class PlainTranscript(View):
    """Format `json`."""

    text: str
    languages: list[Language]
    usage: Usage


class VerboseSegment(View):
    """A span of text between two timestamps."""

    id: int
    seek: int
    start: Seconds
    end: Seconds
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseTranscript(View):
    """Format `verbose_json`."""

    task: Task
    language: str
    """Its English name; that of the text, so `english` for a translation."""
    language_code: str
    language_probability: float
    duration: Seconds
    text: str
    model: str
    processing_s: Seconds
    quality: Quality
    usage: Usage
    segments: list[VerboseSegment] = []
    words: list[Word] = []
