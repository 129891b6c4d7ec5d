"""The messages that API, worker and client exchange: options, job, window, transcript.

`avg_logprob` (a result) and `log_prob_threshold` (an option) keep faster-whisper's two spellings.
All times are seconds from the start of the recording unless a name says otherwise.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contract.suspicion import COMPRESSION_RATIO_LIMIT, LOG_PROB_LIMIT

Seconds = float
Task = Literal["transcribe", "translate"]
Mode = Literal["batched", "sequential"]
Granularity = Literal["segment", "word"]
TranscriptFormat = Literal["json", "verbose_json", "text", "srt", "vtt", "tsv"]

#: Sampled in turn while a window looks suspicious. Source: openai/whisper transcribe.py.
TEMPERATURE_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class JobStatus(StrEnum):
    """The five states of a job."""

    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED)


class Lane(StrEnum):
    """The two queues: people who wait, and work that can."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Message(BaseModel):
    """Base of all messages: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class VadOptions(Message):
    """When a stretch of audio counts as speech. Names as in faster-whisper."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Speech probability above which a 32 ms frame is speech."""
    min_speech_duration_ms: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Shorter speech is dropped."""
    min_silence_duration_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    """Silence of this length ends a speech chunk."""
    speech_pad_ms: Annotated[int, Field(ge=0, le=5_000)] = 400
    """Added on both sides of a speech chunk."""


class TranscriptionOptions(Message):
    """What the caller asks for. Defaults give a plain transcript with segments."""

    task: Task = "transcribe"
    """`translate` gives English text, if the model can."""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = None
    """Code of the spoken language; None detects it."""
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = ()
    """Candidates that detection chooses from; empty means all the model knows."""
    detect_language_per_window: bool = False
    """Detect anew for each window, for recordings that change language; only in mode batched."""
    initial_prompt: Annotated[str, Field(max_length=4_000)] | None = None
    """Text that comes before, given to every window: style, names."""
    hotwords: Annotated[str, Field(max_length=4_000)] | None = None
    """Words to expect, given to every window."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """None or 0 climbs the temperature ladder while a window looks suspicious; else fixed."""
    beam_size: Annotated[int, Field(ge=1, le=10)] = 5
    best_of: Annotated[int, Field(ge=1, le=10)] = 5
    """Candidates when sampling at a temperature above 0."""
    patience: Annotated[float, Field(gt=0, le=5)] = 1.0
    compression_ratio_threshold: Annotated[float, Field(gt=0)] | None = COMPRESSION_RATIO_LIMIT
    """A window whose text compresses better than this repeats itself: suspicious."""
    log_prob_threshold: Annotated[float, Field(le=0)] | None = LOG_PROB_LIMIT
    """A window with a lower average log probability is suspicious."""
    no_speech_threshold: Annotated[float, Field(ge=0, le=1)] | None = 0.6
    """A window more probably silent than this, and suspicious, has no text."""
    word_timestamps: bool = False
    vad_filter: bool = True
    """Cut silence before decoding."""
    vad: VadOptions = VadOptions()
    mode: Mode = "batched"
    """`sequential` runs faster-whisper's own loop, window after window."""
    condition_on_previous_text: bool = False
    """Only in mode sequential."""


class AudioRef(Message):
    """Where a recording is and what was found in it."""

    key: str
    """Name in the audio store; never made from what the client sent."""
    sha256: str
    n_bytes: int
    duration: Seconds
    filename: str = ""
    """The client's name for it, cleaned; for display only."""
    content_type: str = "application/octet-stream"


class ErrorInfo(Message):
    """Why a job failed: a code of contract/errors.py and its message."""

    code: str
    message: str


class Job(Message):
    """The record of one job: the truth about it, kept in one Redis hash."""

    id: str
    owner: str
    """Id of the API key that sent it ("public" without keys)."""
    status: JobStatus
    audio: AudioRef
    options: TranscriptionOptions
    lane: Lane
    batch: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    bundle: str | None = None
    """Id of the model bundle that it runs, or ran, on."""
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the audio that is transcribed."""
    n_windows: int = 0
    """Finished windows so far."""
    attempt: int = 0
    """How often a worker has started it."""
    abandoned: int = 0
    """How often a worker died while it held the job."""
    execution_id: str | None = None
    """The worker run that may write to it; every other write is refused."""
    error: ErrorInfo | None = None
    request_id: str | None = None


class Word(Message):
    """One word and when it was spoken."""

    word: str
    start: Seconds
    end: Seconds
    probability: float


class Segment(Message):
    """A span of text between two timestamps, with the model's own quality figures."""

    start: Seconds
    end: Seconds
    text: str
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    language: str | None = None
    words: tuple[Word, ...] | None = None


class WindowResult(Message):
    """One finished window: the unit of checkpoint, progress and streaming."""

    index: int
    """0-based place in the recording."""
    start: Seconds
    end: Seconds
    segments: tuple[Segment, ...]
    language: str
    language_probability: float
    speech_s: Seconds
    """Speech that the voice activity detection kept in this window."""
    n_attempts: int = 1
    """Decodings at rising temperature until it was not suspicious."""
    is_suspicious: bool = False
    """Whether it stayed suspicious at the last temperature."""


class Quality(Message):
    """Facts that tell how far to trust a transcript."""

    speech_s: Seconds = 0.0
    silence_removed_s: Seconds = 0.0
    n_windows: int = 0
    n_fallbacks: int = 0
    """Windows that were decoded again at a higher temperature."""
    n_suspicious: int = 0
    """Windows that stayed suspicious at the last temperature."""
    n_without_text: int = 0
    """Windows with speech in which the model found no words."""


class Transcript(Message):
    """The canonical result of a job; every format is rendered from it."""

    text: str
    segments: tuple[Segment, ...]
    task: Task = "transcribe"
    language: str
    language_probability: float = 1.0
    duration: Seconds
    bundle: str
    processing_s: Seconds = 0.0
    quality: Quality = Quality()


def utc_now() -> datetime:
    """Return the time as every record writes it."""
    return datetime.now(UTC)
