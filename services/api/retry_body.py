"""The options of a retry: a small JSON object or a form, or the query, or nothing."""

from urllib.parse import parse_qsl

from fastapi import Request

from services.api.form_fields import flatten, read_json
from services.api.multipart_form import MAX_ALL_FIELDS_BYTES, MAX_FIELDS, decoded
from services.contract.errors import (
    InvalidRequestError,
    UnsupportedMediaTypeError,
    UploadTooLargeError,
)


async def retry_pairs(request: Request) -> list[tuple[str, str]]:
    """Read the fields of a retry: those of the query, then those of the body, which win.

    Raises:
        UnsupportedMediaTypeError: the body is neither JSON nor a form.
        InvalidRequestError: it is malformed.
        UploadTooLargeError: it is larger than options can be.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_ALL_FIELDS_BYTES:
            raise UploadTooLargeError(f"Options are at most {MAX_ALL_FIELDS_BYTES} bytes.")
    return [*request.query_params.multi_items(), *_from_body(request, bytes(body))]


def _from_body(request: Request, body: bytes) -> list[tuple[str, str]]:
    if not body.strip():
        return []
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "application/json":
        return _from_json(body)
    if content_type == "application/x-www-form-urlencoded":
        return _from_form(decoded(body, "The form"))
    raise UnsupportedMediaTypeError("Send the options as application/json.")


def _from_json(body: bytes) -> list[tuple[str, str]]:
    try:
        document = read_json(body)
    except ValueError as error:
        raise InvalidRequestError("The body is not JSON.") from error
    if not isinstance(document, dict):
        raise InvalidRequestError("The body must be a JSON object of options.")
    return flatten(document)


def _from_form(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequestError(f"The form has more than {MAX_FIELDS} fields.") from error
