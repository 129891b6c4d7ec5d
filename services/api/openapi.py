"""What /openapi.json says beyond what FastAPI can see: bodies, formats, errors, examples.

The routes read their bodies as streams, so the schemas of forms are given here, from the same
models that check them.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi.responses import Response

from services.api.answer_shapes import ErrorAnswer, PlainTranscript, VerboseTranscript
from services.api.options import JobFields, OptionFields, TranscriptionFields
from services.api.render import MEDIA_TYPES, OPENAI_MEDIA_TYPES
from services.contract.schema import Task

Details = dict[str, Any]

IDEMPOTENCY_KEY: Details = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key gives the same job for 24 h.",
    "schema": {"type": "string", "maxLength": 255},
}
#: Without it FastAPI would add that the answer is JSON.
NOT_JSON: Details = {"response_model": None, "response_class": Response}
UPLOAD_ERRORS = (400, 401, 404, 408, 413, 415, 422, 429, 503, 507)
EXAMPLE_TEXT = "Hej och välkommen."


def errors(*statuses: int) -> Details:
    """Return the `responses` of a route for its error statuses."""
    return {"responses": _errors(*statuses)}


def _errors(*statuses: int) -> dict[int | str, Any]:
    # 422 replaces what FastAPI would tell of its own validation, which is 400 here.
    every = sorted({400, 422, 503, *statuses})
    return {
        status: {"description": HTTPStatus(status).phrase, "model": ErrorAnswer} for status in every
    }


def transcription(task: Task) -> Details:
    """Describe one of OpenAI's two routes."""
    body = {"multipart/form-data": {"schema": form_schema(TranscriptionFields)}}
    description = "The text, in the format that was asked for; with `stream`, server-sent events."
    return {
        "summary": "Transcribe a recording" if task == "transcribe" else "Translate to English",
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
        "responses": {
            200: {"description": description, **_formats(with_events=True)},
            **_errors(*UPLOAD_ERRORS, 409, 500),
        },
    }


def new_job() -> Details:
    """Describe POST /v1/jobs."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {
        "multipart/form-data": {"schema": form_schema(JobFields)},
        "application/octet-stream": binary,
        "audio/*": binary,
        "video/*": binary,
    }
    return {
        "openapi_extra": {
            "requestBody": {"required": True, "content": content},
            "description": "With a raw body the fields go into the query.",
            "parameters": [IDEMPOTENCY_KEY],
        },
        "responses": {202: {"description": "The new job."}, **_errors(*UPLOAD_ERRORS)},
    }


def retry() -> Details:
    """Describe POST /v1/jobs/{id}/retry."""
    properties = {n: _without_default(schema) for n, schema in _properties(JobFields).items()}
    schema = {"type": "object", "properties": properties}
    content = {"application/json": {"schema": schema, "example": {"language": "sv"}}}
    return {
        "openapi_extra": {
            "requestBody": {"required": False, "content": content},
            "parameters": [IDEMPOTENCY_KEY],
        },
        "responses": {
            202: {"description": "The new job."},
            **_errors(401, 404, 410, 413, 415, 429),
        },
    }


def transcript() -> Details:
    """Describe GET /v1/jobs/{id}/transcript."""
    ok = {"description": "The transcript.", **_formats(with_events=False)}
    return {"response_model": None, "responses": {200: ok, **_errors(401, 404, 409, 410)}}


def audio() -> Details:
    """Describe GET /v1/jobs/{id}/audio."""
    content = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        **NOT_JSON,
        "responses": {
            200: {"description": "The recording.", "content": content},
            206: {"description": "A part of it.", "content": content},
            416: {"description": "The range lies outside the recording."},
            **_errors(401, 404, 410, 503),
        },
    }


def event_stream() -> Details:
    """Describe GET /v1/jobs/{id}/events."""
    data = '{"window": 0, "start": 0.0, "end": 1.6, "language": "sv", "segments": []}'
    example = f"id: 1\nevent: segments\ndata: {data}\n\n"
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    ok = {"description": "Server-sent events.", "content": content}
    return {**NOT_JSON, "responses": {200: ok, **_errors(401, 404)}}


def archive() -> Details:
    """Describe GET /v1/batches/{name}/transcripts.zip."""
    content = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    ok = {"description": "A zip file.", "content": content}
    return {**NOT_JSON, "responses": {200: ok, **_errors(401, 404)}}


def metrics() -> Details:
    """Describe GET /metrics."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {**NOT_JSON, "responses": {200: {"description": "All figures.", "content": content}}}


def form_schema(fields: type[OptionFields]) -> Details:
    """Return the schema of a multipart form with a file."""
    file = {"type": "string", "format": "binary", "description": "The recording."}
    given = {name: _without_null(schema) for name, schema in _properties(fields).items()}
    properties = {"file": file, **given}
    return {"type": "object", "required": ["file"], "properties": properties}


def _properties(fields: type[OptionFields]) -> Details:
    schema = fields.model_json_schema()
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    return {n: _inlined(p, definitions) for n, p in schema["properties"].items()}


def _without_null(schema: Details) -> Details:
    """Take the null out of what may be null: a form has none, only fields that are left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**kinds[0], **rest}


def _without_default(schema: Details) -> Details:
    """Take the default away: generated clients would send it, and no longer ask for the same."""
    return {name: value for name, value in schema.items() if name != "default"}


def _inlined(value: Any, definitions: Mapping[str, Any]) -> Any:
    """Replace references by what they name: these schemas are small and stand alone."""
    if isinstance(value, dict):
        if "$ref" in value:
            return definitions[value["$ref"].rsplit("/", 1)[-1]]
        return {name: _inlined(inner, definitions) for name, inner in value.items()}
    return [_inlined(inner, definitions) for inner in value] if isinstance(value, list) else value


def _formats(*, with_events: bool) -> Details:
    usage = {"type": "duration", "seconds": 1.6}
    example = {"text": EXAMPLE_TEXT, "languages": [{"code": "sv"}], "usage": usage}
    media_types = OPENAI_MEDIA_TYPES if with_events else MEDIA_TYPES
    types = sorted({media_type.split(";")[0] for media_type in media_types.values()})
    content: Details = {name: {"schema": {"type": "string"}} for name in types}
    content["application/json"] = {"example": example}
    if with_events:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"model": VerboseTranscript | PlainTranscript, "content": content}


def ignored_header(names: list[str]) -> dict[str, str]:
    """Tell which fields were not read, if any: a typing error should not pass unseen."""
    safe = [quote(name[:50], safe="[]") for name in names[:20]]
    return {"x-ignored-fields": ", ".join(safe)} if safe else {}


def attachment(name: str, *, inline: bool = False) -> dict[str, str]:
    """Return the header that names a download; any name is safe in it.

    Source: RFC 6266, and its appendix D for what to keep out of the plain form. That is for
        programs that know no other, curl among them, which reads no escapes either.
    """
    kind = "inline" if inline else "attachment"
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    named = f"filename=\"{plain}\"; filename*=utf-8''{quote(name, safe='')}"
    return {"Content-Disposition": f"{kind}; {named}"}
