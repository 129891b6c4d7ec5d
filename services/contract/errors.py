"""Every error the project raises on purpose, as one tree.

SttError                          code, message, retryable=False
├─ RequestError                   the caller can fix it
│  ├─ InvalidRequestError · InvalidOptionsError · UnsupportedMediaTypeError
│  ├─ UploadTooLargeError · UploadTimeoutError · UploadAbortedError
│  ├─ EmptyAudioError · UnsupportedAudioError · AudioTooLongError · PoisonousAudioError
│  ├─ UnsupportedLanguageError · UnsupportedTaskError · PromptTooLongError
│  ├─ ModelNotFoundError · JobNotFoundError · JobNotFinishedError · JobNotCancelableError
│  ├─ BatchNotFoundError · AudioExpiredError · TranscriptExpiredError · RouteNotFoundError
│  ├─ MethodNotAllowedError · IdempotencyConflictError
│  └─ InvalidApiKeyError
├─ BusyError                      try again later (retryable)
│  └─ QueueFullError · RateLimitError · ConcurrencyLimitError
├─ TranscriptionError             our fault, seen by the caller as status=failed
│  └─ GpuMemoryError · TranscriptionTimeoutError · WorkerLostError · JobCanceledError
├─ ServiceError                   an operator can fix it
│  └─ QueueUnavailableError (QueueSilentError) · AudioStoreError · StoreFullError · StoppingError
│     InternalError
├─ SettingsError                  a process was configured wrongly and does not start
├─ ModelBundleError               a model cannot be read, verified, gated or deployed
└─ TrainingError                  the person who trains can fix it
   ├─ ConfigError · DataError(path, line) · OutputError · CheckpointError · TokenizerError
   └─ QualityError · PublishError

The HTTP status of each code is in services/api/error_handlers.py alone.
"""

from typing import ClassVar


class SttError(Exception):
    """Base of the tree: a stable `code` for programs and a `message` for people."""

    code: ClassVar[str] = "stt_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Keep the message, which tells a person what to do, and the field it is about."""
        super().__init__(message)
        self.message = message
        self.param = param


class RequestError(SttError):
    """The caller can fix it."""

    code = "invalid_request"


class InvalidRequestError(RequestError):
    """The request is malformed: a field is missing, unknown to HTTP, or not parseable."""

    code = "invalid_request"


class InvalidOptionsError(RequestError):
    """An option has a value outside its range."""

    code = "invalid_options"


class UnsupportedMediaTypeError(RequestError):
    """The content type of the body is not one that the route reads."""

    code = "unsupported_media_type"


class UploadTooLargeError(RequestError):
    """The body is larger than STT_MAX_UPLOAD_BYTES."""

    code = "upload_too_large"


class UploadTimeoutError(RequestError):
    """The body arrived too slowly."""

    code = "upload_timeout"


class UploadAbortedError(RequestError):
    """The client went away before the body was complete."""

    code = "upload_aborted"


class EmptyAudioError(RequestError):
    """The upload has no bytes, or its audio stream has no samples."""

    code = "empty_audio"


class UnsupportedAudioError(RequestError):
    """The upload is not audio that can be decoded."""

    code = "unsupported_audio"


class AudioTooLongError(RequestError):
    """The audio lasts longer than STT_MAX_AUDIO_S."""

    code = "audio_too_long"


class PoisonousAudioError(RequestError):
    """The recording took a worker down twice, the second time alone."""

    code = "poisonous_audio"


class UnsupportedLanguageError(RequestError):
    """The served model does not know the language."""

    code = "unsupported_language"


class UnsupportedTaskError(RequestError):
    """The served model cannot do the task (translation, say)."""

    code = "unsupported_task"


class PromptTooLongError(RequestError):
    """Prompt and keywords together exceed the model's token budget."""

    code = "prompt_too_long"


class ModelNotFoundError(RequestError):
    """The request names a model that is not served here."""

    code = "model_not_found"


class JobNotFoundError(RequestError):
    """No such job for this key."""

    code = "job_not_found"


class JobNotFinishedError(RequestError):
    """The job has no transcript yet."""

    code = "job_not_finished"


class JobNotCancelableError(RequestError):
    """The job has already ended."""

    code = "job_not_cancelable"


class BatchNotFoundError(RequestError):
    """No job of this key carries the batch name."""

    code = "batch_not_found"


class AudioExpiredError(RequestError):
    """The audio was deleted when its time to live ended."""

    code = "audio_expired"


class TranscriptExpiredError(RequestError):
    """The transcript was deleted when its time to live ended."""

    code = "transcript_expired"


class RouteNotFoundError(RequestError):
    """There is nothing at this address."""

    code = "not_found"


class MethodNotAllowedError(RequestError):
    """The address exists, but not for this method."""

    code = "method_not_allowed"


class IdempotencyConflictError(RequestError):
    """The Idempotency-Key was used before with another body or other options."""

    code = "idempotency_conflict"


class InvalidApiKeyError(RequestError):
    """The API key is missing or wrong."""

    code = "invalid_api_key"


class BusyError(SttError):
    """Try again later."""

    code = "busy"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float, param: str | None = None) -> None:
        """Say after how many seconds another try makes sense."""
        super().__init__(message, param=param)
        self.retry_after_s = retry_after_s


class QueueFullError(BusyError):
    """STT_QUEUE_LIMIT jobs are waiting."""

    code = "queue_full"


class RateLimitError(BusyError):
    """The key sent more requests per minute than it may."""

    code = "rate_limit_exceeded"


class ConcurrencyLimitError(BusyError):
    """The key has more unfinished jobs than it may."""

    code = "concurrency_limit_exceeded"


class TranscriptionError(SttError):
    """The transcription failed through no fault of the caller."""

    code = "transcription_failed"


class GpuMemoryError(TranscriptionError):
    """The accelerator ran out of memory even for the smallest batch."""

    code = "gpu_out_of_memory"
    retryable = True


class TranscriptionTimeoutError(TranscriptionError):
    """The job ran longer than its audio's duration allows."""

    code = "transcription_timeout"


class WorkerLostError(TranscriptionError):
    """Workers died while they held the job, more often than it may be restarted."""

    code = "worker_lost"
    retryable = True


class JobCanceledError(TranscriptionError):
    """The job was canceled while a caller waited for it."""

    code = "job_canceled"


class ServiceError(SttError):
    """A part of the service is out of order; an operator can fix it."""

    code = "service_error"


class QueueUnavailableError(ServiceError):
    """Redis does not answer."""

    code = "queue_unavailable"
    retryable = True


class QueueSilentError(QueueUnavailableError):
    """Redis was asked and did not answer: it may have done what it was asked, or do it yet."""


class AudioStoreError(ServiceError):
    """The audio store cannot be read or written."""

    code = "audio_store_unavailable"
    retryable = True


class StoreFullError(ServiceError):
    """The audio store has no space left."""

    code = "store_full"


class StoppingError(ServiceError):
    """The process that had the request was asked to stop; its successor takes it."""

    code = "service_stopping"
    retryable = True


class InternalError(ServiceError):
    """A defect of ours: the log has the trace under the request id."""

    code = "internal_error"


class SettingsError(SttError):
    """A process was configured wrongly and does not start."""

    code = "invalid_settings"


class ModelBundleError(SttError):
    """A model cannot be read, verified, gated or deployed."""

    code = "invalid_model_bundle"


class TrainingError(SttError):
    """The person who trains can fix it."""

    code = "training_error"


class ConfigError(TrainingError):
    """A training config has an unknown key, a bad value, or differs from the run it resumes."""

    code = "invalid_config"


class DataError(TrainingError):
    """Input or prepared data is missing, damaged, or too often bad."""

    code = "invalid_data"

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        """Name the file and line when they are known."""
        where = "" if path is None else path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {message}" if where else message)
        self.path = path
        self.line = line


class OutputError(TrainingError):
    """A result cannot be written: no room, no permission, or no connection."""

    code = "output_failed"


class CheckpointError(TrainingError):
    """A checkpoint cannot be written, read or resumed from."""

    code = "invalid_checkpoint"


class TokenizerError(TrainingError):
    """The tokenizer does not fit the model, or its source is missing."""

    code = "invalid_tokenizer"


class QualityError(TrainingError):
    """A model is worse than it must be: than its own start, or than the one it replaces."""

    code = "quality_gate"


class PublishError(TrainingError):
    """The hub refused or could not be reached."""

    code = "publish_failed"
