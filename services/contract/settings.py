"""Every setting of every process, read once from `STT_` variables.

Each process builds one frozen object at its start (`load(ApiSettings)`), and hands it down.
An unknown `STT_` name stops the start: a typo must never mean "the default, silently".
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError

from services.contract.errors import SettingsError

PREFIX = "STT_"
GIB = 1024**3
#: Where prometheus-client keeps the counts of several processes.
COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: As browsers send it: no path, no slash at the end. Apps and extensions have schemes of their own.
ORIGIN = r"[a-z][a-z0-9+.-]*://[^/,\s]+"
#: Empty, `*`, or origins.
CORS_ORIGINS = rf"^(\*|({ORIGIN}(\s*,\s*{ORIGIN})*)?)$"

#: The names of CTranslate2, and `auto`, which is ours.
COMPUTE_TYPE = (
    "^(auto|default|int8|int8_float32|int8_float16|int8_bfloat16|int16|float16|bfloat16|float32)$"
)


def check_redis_url(url: SecretStr) -> SecretStr:
    """Refuse an address that redis-py would read as another one: it passes over a wrong database.

    Raises:
        PydanticCustomError: no scheme of Redis, no host, a wrong port or database.
    """
    parts = urlsplit(url.get_secret_value())
    try:
        is_remote = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # The port is no number.
        is_remote = False
    is_database = re.fullmatch(r"/?|/\d+", parts.path)
    if (is_remote and is_database) or (parts.scheme == "unix" and parts.path):
        return url
    raise PydanticCustomError(
        "redis_url", "not an address of Redis; use redis://:password@host:6379/0"
    )


class CommonSettings(BaseModel):
    """What API, worker and client command line must agree on."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    redis_url: Annotated[SecretStr, AfterValidator(check_redis_url)] = SecretStr(
        "redis://127.0.0.1:6379/0"
    )
    """Redis that holds jobs, queue and events."""
    audio_store_url: str = "file://./data/audio"
    """Where recordings are kept: `file:///folder`, or `s3://bucket/prefix` for several hosts."""
    models_dir: Path = Path("data/models")
    """Where deployed model bundles live; `current` in it names the one in use."""
    model: str = "demo"
    """Served while nothing is deployed: `demo`, a deployed name, a hub id[@revision], or a path."""
    hub_cache_dir: Path | None = None
    """Cache of models from the hub; None is the hub library's own folder."""
    audio_ttl_s: Annotated[int, Field(ge=60)] = 24 * 3600
    """Recordings are deleted this long after their job ended."""
    transcript_ttl_s: Annotated[int, Field(ge=60)] = 7 * 24 * 3600
    """Jobs and transcripts are deleted this long after their job ended."""
    max_audio_s: Annotated[int, Field(ge=1)] = 6 * 3600
    """Longest recording that is accepted."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""


class ApiSettings(CommonSettings):
    """The HTTP service."""

    host: str = "127.0.0.1"
    """Address to listen on; any but loopback needs STT_API_KEYS or STT_ALLOW_NO_KEYS=true."""
    published_host: str = ""
    """Address under which callers reach the service, when a container or proxy stands between;
    it then decides in place of STT_HOST whether keys are needed."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on."""
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that answer on this port; each can keep one core busy."""
    api_keys: SecretStr = SecretStr("")
    """Comma-separated `name:sha256-of-key`, as `whisper-sv key` makes; empty accepts everybody."""
    allow_no_keys: bool = False
    """Serve a public address without keys, behind a proxy that checks callers, say."""
    cors_origins: Annotated[str, Field(pattern=CORS_ORIGINS)] = ""
    """Comma-separated origins (`https://app.example.org`, no slash at the end) of web pages
    elsewhere that may call the API from a browser; `*` is any."""
    max_upload_bytes: Annotated[int, Field(ge=1024)] = 2 * GIB
    """Largest upload."""
    upload_idle_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """An upload that sends nothing for this long is given up."""
    upload_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    """An upload that takes longer than this is given up."""
    probe_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Longest look at an upload to see whether it is audio."""
    queue_limit: Annotated[int, Field(ge=1)] = 1000
    """More waiting jobs than this answer 429."""
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 0
    """Requests that create jobs, per key and minute; 0 is no limit."""
    concurrency_limit: Annotated[int, Field(ge=0)] = 0
    """Unfinished jobs per key; 0 is no limit."""
    orphan_grace_s: Annotated[float, Field(ge=0)] = 120.0
    """A waiting call that disconnects leaves its job running this long for the next try."""
    wait_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    """Longest that a call waits for its transcript; the job goes on."""
    ready_requires_worker: bool = False
    """/readyz also asks for a live worker."""

    @property
    def origins(self) -> list[str]:
        """The single ones of `cors_origins`."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]


class WorkerSettings(CommonSettings):
    """A worker process."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda)(:\d+)?$")] = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:1`."""
    compute_type: Annotated[str, Field(pattern=COMPUTE_TYPE)] = "auto"
    """CTranslate2 compute type: int8, int8_float32, int8_float16, int8_bfloat16, int16, float16,
    bfloat16, float32 or default; `auto` is int8 on CPU and float16 on GPU, with a probe."""
    cpu_threads: Annotated[int, Field(ge=0)] = 0
    """Threads of the engine on CPU; 0 is one per core."""
    slots: Annotated[int, Field(ge=1, le=512)] = 32
    """Jobs in flight at once."""
    interactive_slots: Annotated[int, Field(ge=0)] = 8
    """Slots of these that bulk jobs may not take."""
    max_batch_windows: Annotated[int, Field(ge=1, le=256)] = 16
    """Most windows in one engine call."""
    batch_budget_s: Annotated[float, Field(ge=0)] = 0.0
    """No batch is started that is predicted to take longer, unless it takes little more than one
    window; 0 is 0.5 on CPU and 2 on GPU."""
    short_context: bool = True
    """Use short context with bundles that allow it."""
    model_poll_s: Annotated[float, Field(gt=0, le=10)] = 5.0
    """How often to look for a newly deployed model."""
    lease_s: Annotated[float, Field(ge=3)] = 15.0
    """A worker that has not renewed a job for this long has lost it."""
    max_restarts: Annotated[int, Field(ge=1)] = 3
    """A job whose workers died this often fails as `worker_lost`."""
    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the worker's own /metrics; 0 is none."""


class ClientSettings(CommonSettings):
    """The command line and the Python client."""

    base_url: str = "http://127.0.0.1:8000"
    """Address of the API."""
    api_key: SecretStr = SecretStr("")
    """Key to send; empty sends none."""


ALL_SETTINGS: tuple[type[CommonSettings], ...] = (ApiSettings, WorkerSettings, ClientSettings)
AnySettings = TypeVar("AnySettings", bound=CommonSettings)


def known_names() -> set[str]:
    """Return every `STT_` name that some process knows."""
    return {PREFIX + field.upper() for kind in ALL_SETTINGS for field in kind.model_fields}


def load(kind: type[AnySettings], environ: Mapping[str, str] | None = None) -> AnySettings:
    """Build the settings of one process from its environment.

    An empty value means the default, so that compose files can pass `${STT_X:-}` through. Spaces
    around a value are none of it: a file with Windows' line ends leaves one that nobody sees.

    Raises:
        SettingsError: an unknown `STT_` name, or a value out of bounds.
    """
    given = {
        name: value.strip()
        for name, value in (os.environ if environ is None else environ).items()
        if name.startswith(PREFIX) and value.strip()
    }
    refuse_unknown(given)
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    try:
        return kind.model_validate({k: v for k, v in fields.items() if k in kind.model_fields})
    except ValidationError as error:
        raise SettingsError(describe(error, kind)) from None


def refuse_unknown(given: Mapping[str, str]) -> None:
    """Raise SettingsError for the first name that no process knows, with the nearest one."""
    known = known_names()
    for name in sorted(given):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; see .env.example"
            raise SettingsError(f"Unknown setting {name}{hint}")


def describe(error: ValidationError, kind: type[CommonSettings]) -> str:
    """Say which variable is wrong and why, without its value: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = str(first["loc"][0])
    why = first["msg"]
    if first["type"] == "string_pattern_mismatch":  # Its description says more than the pattern.
        words = (kind.model_fields[field].description or "").split()
        why = f"not a value that it takes: {' '.join(words)}"
    return f"{PREFIX}{field.upper()}: {why}"


def child_environ(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with changes, for a process it starts."""
    return {**os.environ, **changes}


def forbid_reports() -> None:
    """Keep onnxruntime, which finds speech, from reporting its use to its maker.

    To be called before it is imported: it sends a first report at its import.
    Source: onnxruntime's Privacy.md, "Disabling Telemetry" (official Linux builds since 1.29).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def share_counts(folder: str) -> None:
    """Let the processes that this one starts keep what they count in a folder, to be added up."""
    os.environ[COUNTS_FOLDER] = folder


def shared_counts() -> str | None:
    """Return the folder of the counts, None for a process that counts alone."""
    return os.environ.get(COUNTS_FOLDER)


def says_how_many_arenas() -> bool:
    """Whether the C library is told how to divide memory by a variable of its own."""
    return "MALLOC_ARENA_MAX" in os.environ
