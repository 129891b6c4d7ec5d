"""The fields of a request, checked, and the transcription options that they mean."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from services.api.field_values import NewBatch, lowered
from services.api.filenames import clean_filename
from services.api.form_fields import Pairs, gather, json_object, split_name
from services.api.languages import code_of
from services.api.served_model import ServedModel
from services.contract.errors import (
    InvalidOptionsError,
    PromptTooLongError,
    UnsupportedLanguageError,
    UnsupportedTaskError,
)
from services.contract.schema import (
    Granularity,
    Lane,
    Mode,
    Task,
    TranscriptFormat,
    TranscriptionOptions,
    VadOptions,
)
from services.contract.suspicion import COMPRESSION_RATIO_LIMIT, LOG_PROB_LIMIT

MAX_PROMPT_CHARS = 4_000
#: Whisper reads at most 223 tokens before a window's text, and a word is at least one. Between
#: that many words and that many tokens only the worker, which has the tokenizer, can tell.
MAX_PROMPT_WORDS = 223
#: A longer recording is bulk work unless its caller says otherwise.
INTERACTIVE_S = 120.0
LIST_FIELDS = frozenset({"languages", "keywords", "timestamp_granularities", "include"})
#: faster-whisper's names for two of OpenAI's fields.
ALIASES = {"initial_prompt": "prompt", "hotwords": "keywords"}
WITH_WORDS = ("verbose_json", "srt", "vtt")
#: What clients of other servers write for "find it out", or by mistake for "not given".
NO_LANGUAGE = ("auto", "null", "none", "undefined")
#: Fields that are called the same in a request and in the options.
SAME_IN_BOTH = (
    "temperature",
    "beam_size",
    "best_of",
    "patience",
    "vad_filter",
    "mode",
    "compression_ratio_threshold",
    "log_prob_threshold",
    "no_speech_threshold",
    "condition_on_previous_text",
    "detect_language_per_window",
)
#: OpenAI's names for what voice activity detection is told, and ours.
VAD_NAMES = {"silence_duration_ms": "min_silence_duration_ms", "prefix_padding_ms": "speech_pad_ms"}


class OptionFields(BaseModel):
    """What every transcribing request may say."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, allow_inf_nan=False
    )

    model: str | None = None
    """Id or name of the served model, or an alias such as `whisper-1`."""
    language: str | None = None
    """Spoken language: `sv`, `sv-SE` or `swedish`. Without it, or with `auto`, it is detected."""
    languages: list[str] = []
    """Candidates for detection; those that the model does not know are passed over."""
    prompt: str | None = None
    """Text that comes before, for style and names; given to every window."""
    keywords: list[str] = []
    """Words to expect, given to every window."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """0 or nothing climbs the temperature ladder where needed; else fixed."""
    timestamp_granularities: list[Annotated[Granularity, BeforeValidator(lowered)]] = []
    """`word` adds the time of every word."""
    chunking_strategy: Any = None
    """`auto`, or {type: server_vad, threshold, silence_duration_ms, prefix_padding_ms}."""
    vad: Any = None
    """Voice activity detection in our own words: threshold, min_silence_duration_ms, ..."""
    vad_filter: bool = True
    """Cut silence before decoding."""
    mode: Annotated[Mode, BeforeValidator(lowered)] = "batched"
    """`sequential` decodes window after window as faster-whisper does."""
    condition_on_previous_text: bool = False
    """Only in mode sequential."""
    detect_language_per_window: bool = False
    """For recordings that change language; only in mode batched."""
    beam_size: Annotated[int, Field(ge=1, le=10)] = 5
    best_of: Annotated[int, Field(ge=1, le=10)] = 5
    patience: Annotated[float, Field(gt=0, le=5)] = 1.0
    compression_ratio_threshold: Annotated[float, Field(gt=0)] = COMPRESSION_RATIO_LIMIT
    log_prob_threshold: Annotated[float, Field(le=0)] = LOG_PROB_LIMIT
    no_speech_threshold: Annotated[float, Field(ge=0, le=1)] = 0.6

    @property
    def wants_words(self) -> bool:
        """Whether the time of every word is needed."""
        return "word" in self.timestamp_granularities


class TranscriptionFields(OptionFields):
    """What POST /v1/audio/transcriptions and /v1/audio/translations read beside the file."""

    response_format: Annotated[TranscriptFormat, BeforeValidator(lowered)] = "json"
    """json, verbose_json, text, srt, vtt or tsv."""
    stream: bool = False
    """Answer with server-sent events as the text comes."""
    include: list[Literal["logprobs"]] = []
    """Accepted for compatibility; there are no token probabilities in the answer."""

    @property
    def wants_words(self) -> bool:
        """Formats without a place for word times do not pay for them."""
        return super().wants_words and self.response_format in WITH_WORDS and not self.stream


class JobFields(OptionFields):
    """What POST /v1/jobs reads beside the file."""

    task: Annotated[Task, BeforeValidator(lowered)] = "transcribe"
    """`translate` gives English text, if the model can."""
    word_timestamps: bool = False
    """Same as timestamp_granularities with `word`."""
    batch: NewBatch | None = None
    """A name that jobs share; see /v1/batches."""
    priority: Annotated[Lane, BeforeValidator(lowered)] | None = None
    """`interactive` or `bulk`; by default short recordings without a batch are interactive."""
    filename: Annotated[str, Field(max_length=1000), AfterValidator(clean_filename)] | None = None
    """Name to show for a raw body."""

    @property
    def wants_words(self) -> bool:
        """Either name asks for it."""
        return super().wants_words or self.word_timestamps


Fields = TypeVar("Fields", bound=OptionFields)


def parse(kind: type[Fields], pairs: Pairs) -> Fields:
    """Read a request's fields.

    Raises:
        InvalidOptionsError: a value is not one that the field takes; `param` names the field.
    """
    given = [(_own_name(name), value) for name, value in pairs]
    try:
        return kind.model_validate(gather(given, LIST_FIELDS))
    except ValidationError as error:
        raise _explained(error) from None


def unknown_names(kind: type[OptionFields], pairs: Pairs) -> list[str]:
    """Return the names that `kind` does not read, in order: ignored, but told to the caller."""
    names = {split_name(_own_name(name))[0]: None for name, _ in pairs}
    return [name for name in names if name not in kind.model_fields]


def to_options(fields: OptionFields, task: Task, served: ServedModel) -> TranscriptionOptions:
    """Turn fields into transcription options that the served model can do.

    Raises:
        InvalidOptionsError · PromptTooLongError · UnsupportedLanguageError · UnsupportedTaskError
    """
    if task not in served.tasks:
        raise UnsupportedTaskError(f"The model {served.id} cannot {task}.", param="task")
    hotwords = ", ".join(fields.keywords) or None
    _require_room(fields.prompt or "", hotwords or "")
    return TranscriptionOptions(
        task=task,
        language=_language(fields.language, served),
        languages=_languages(fields.languages, served),
        initial_prompt=fields.prompt,
        hotwords=hotwords,
        word_timestamps=fields.wants_words,
        vad=_vad_options(fields),
        **{name: getattr(fields, name) for name in SAME_IN_BOTH},
    )


def lane(fields: JobFields, duration: float) -> Lane:
    """Return the queue that a job waits in."""
    if fields.priority is not None:
        return fields.priority
    return Lane.BULK if fields.batch else lane_of(duration)


def lane_of(duration: float) -> Lane:
    """Return the queue of a recording that belongs to no batch."""
    return Lane.INTERACTIVE if duration <= INTERACTIVE_S else Lane.BULK


def _own_name(name: str) -> str:
    base, sub = split_name(name)
    own = ALIASES.get(base, base)
    return f"{own}[{sub}]" if sub else own


def _require_room(prompt: str, keywords: str) -> None:
    for name, text in (("prompt", prompt), ("keywords", keywords)):
        if len(text) > MAX_PROMPT_CHARS:
            raise PromptTooLongError(
                f"{name} has {len(text)} characters; at most {MAX_PROMPT_CHARS} are read.",
                param=name,
            )
    n_words = len(prompt.split()) + len(keywords.split())
    if n_words > MAX_PROMPT_WORDS:
        raise PromptTooLongError(
            f"prompt and keywords have {n_words} words together, and the model takes at most "
            f"{MAX_PROMPT_WORDS} tokens; shorten them.",
            param="prompt" if prompt else "keywords",
        )


def _language(given: str | None, served: ServedModel) -> str | None:
    if given is None or given.strip().lower() in NO_LANGUAGE:
        return None
    code = code_of(given)
    if code is None or not _knows(served, code):
        raise _unsupported(given, "language", served)
    return code


def _languages(given: list[str], served: ServedModel) -> tuple[str, ...]:
    """Return the candidates among which the model can choose; not one of several is an error."""
    codes = {name: code_of(name) for name in given}
    known = tuple(code for code in codes.values() if code is not None and _knows(served, code))
    for name, code in codes.items():
        if code is None or not known:
            raise _unsupported(name, "languages", served)
    return known


def _knows(served: ServedModel, code: str) -> bool:
    return not served.languages or code in served.languages


def _unsupported(given: str, param: str, served: ServedModel) -> UnsupportedLanguageError:
    known = ", ".join(served.languages) or "ISO-639-1 codes such as sv, en, de"
    return UnsupportedLanguageError(
        f"{_shown(given)} is not a language of the model {served.id}; it knows {known}.",
        param=param,
    )


def _vad_options(fields: OptionFields) -> VadOptions:
    given: dict[str, Any] = {}
    strategy = fields.chunking_strategy
    if strategy is not None and strategy != "auto":
        given |= _server_vad(json_object("chunking_strategy", strategy))
    if fields.vad is not None:
        given |= json_object("vad", fields.vad)
    try:
        return VadOptions.model_validate(given)
    except ValidationError as error:
        raise _explained(error, "vad" if fields.vad else "chunking_strategy") from None


def _server_vad(strategy: Mapping[str, Any]) -> dict[str, Any]:
    if strategy.get("type", "server_vad") != "server_vad":
        raise InvalidOptionsError(
            "chunking_strategy must be auto or of type server_vad.", param="chunking_strategy"
        )
    return {VAD_NAMES.get(k, k): v for k, v in strategy.items() if k != "type"}


def _explained(error: ValidationError, param: str | None = None) -> InvalidOptionsError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = param or str(first["loc"][0])
    where = ".".join(str(part) for part in first["loc"])
    return InvalidOptionsError(f"{where}: {first['msg']}.", param=name)


def _shown(text: str) -> str:
    """Quote what a caller sent, shortened."""
    return repr(text if len(text) <= 40 else text[:40] + "…")
