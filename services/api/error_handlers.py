"""From errors to HTTP: the status of every code, and the one shape that all errors have.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}

That is OpenAI's envelope, so its clients read `code` and `param`. `x-should-retry` tells them
whether another try makes sense, since on their own they send anything above 499 three times.
"""

import json
import logging
import math
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match, Mount

from services.contract.errors import (
    BusyError,
    InternalError,
    InvalidRequestError,
    MethodNotAllowedError,
    RouteNotFoundError,
    SttError,
    UploadAbortedError,
)

logger = logging.getLogger(__name__)

STATUS: dict[str, int] = {
    "stt_error": 500,
    "invalid_request": 400,
    "invalid_options": 400,
    "unsupported_media_type": 415,
    "upload_too_large": 413,
    "upload_timeout": 408,
    "upload_aborted": 400,
    "empty_audio": 400,
    "unsupported_audio": 400,
    "audio_too_long": 400,
    "poisonous_audio": 422,
    "unsupported_language": 400,
    "unsupported_task": 400,
    "prompt_too_long": 400,
    "model_not_found": 404,
    "job_not_found": 404,
    "job_not_finished": 409,
    "job_not_cancelable": 409,
    "batch_not_found": 404,
    "audio_expired": 410,
    "transcript_expired": 410,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_conflict": 422,
    "invalid_api_key": 401,
    "busy": 429,
    "queue_full": 429,
    "rate_limit_exceeded": 429,
    "concurrency_limit_exceeded": 429,
    "transcription_failed": 500,
    "gpu_out_of_memory": 500,
    "transcription_timeout": 500,
    "worker_lost": 500,
    "job_canceled": 409,
    "service_error": 500,
    "queue_unavailable": 503,
    "audio_store_unavailable": 503,
    "service_stopping": 503,
    "store_full": 507,
    "internal_error": 500,
    # These stop a process or a command; a route that met one would be a defect of ours.
    "invalid_settings": 500,
    "invalid_model_bundle": 500,
    "training_error": 500,
    "invalid_config": 500,
    "invalid_data": 500,
    "invalid_checkpoint": 500,
    "invalid_tokenizer": 500,
    "output_failed": 500,
    "quality_gate": 500,
    "publish_failed": 500,
}
METHODS = ("GET", "HEAD", "POST", "DELETE")
#: Redis and store come back within seconds if they do.
UNAVAILABLE_RETRY_S = 2


def install(app: FastAPI) -> None:
    """Answer every error of the application in the envelope."""
    app.add_exception_handler(SttError, on_stt_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(Exception, on_defect)


def envelope(error: SttError) -> dict[str, dict[str, str | None]]:
    """Return the body of an error's answer."""
    return {
        "error": {
            "message": error.message,
            "type": kind(STATUS[error.code]),
            "param": error.param,
            "code": error.code,
        }
    }


def kind(status: int) -> str:
    """Return OpenAI's coarse class of an error."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def response(error: SttError, request_id: str) -> Response:
    """Return an error's whole answer."""
    status = STATUS[error.code]
    headers = {"x-request-id": request_id, "x-should-retry": str(error.retryable).lower()}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(UNAVAILABLE_RETRY_S)
    elif status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(envelope(error), status_code=status, headers=headers)


async def on_stt_error(request: Request, error: Exception) -> Response:
    """Answer a typed error; log those that an operator must see."""
    if not isinstance(error, SttError):
        raise error
    if STATUS[error.code] >= 500:
        cause = error if isinstance(error, InternalError) else None
        logger.error(
            "request failed",
            extra={"request_id": request_id_of(request), "code": error.code},
            exc_info=cause,
        )
    return answered(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown address, or another method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    typed: SttError
    if status == HTTPStatus.NOT_FOUND:
        # Many clients join a base URL and a path by themselves: show what came of it.
        address = request.url.path[:100]
        typed = RouteNotFoundError(f"There is nothing at {address}; see /openapi.json.")
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        typed = MethodNotAllowedError(f"{request.method} is not possible at this address.")
    else:
        typed = InvalidRequestError(str(getattr(error, "detail", "The request is malformed.")))
    result = answered(request, typed)
    result.headers.update(getattr(error, "headers", None) or {})
    # The router names the methods of the first route that it met at the address.
    if allowed := [method for method in METHODS if takes(request, method)]:
        result.headers["Allow"] = ", ".join(allowed)
    return result


def takes(request: Request, method: str) -> bool:
    """Whether one of our routes has the address of a request and the method."""
    scope = {**request.scope, "method": method}
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Answer a query or path value that FastAPI refuses, as 400 in the envelope."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    first = errors[0] if errors else {"loc": ("",), "msg": "The request is malformed"}
    param = str(first["loc"][-1])
    return answered(request, InvalidRequestError(f"{param}: {first['msg']}.", param=param))


async def on_disconnect(request: Request, error: Exception) -> Response:
    """Nobody reads this; the log has it."""
    return answered(request, UploadAbortedError("The client went away."))


async def on_defect(request: Request, error: Exception) -> Response:
    """Answer a defect of ours. Starlette passes the error on, so that the log has its trace."""
    message = f"Something went wrong here; the log has it under {request_id_of(request)}."
    result = answered(request, InternalError(message))
    # The server closes the connection after it: the client must not send its next request there.
    result.headers["connection"] = "close"
    return result


def answered(request: Request, error: SttError) -> Response:
    """Build the answer and count it."""
    request.app.state.service.metrics.count_error(error.code)
    return response(error, request_id_of(request))


def request_id_of(request: Request) -> str:
    """Return the id that the middleware gave the request."""
    return str(request.scope.get("request_id", ""))


def as_event(error: SttError) -> str:
    """Return an error as the last server-sent event of an answer that has begun."""
    return f"data: {json.dumps(envelope(error), ensure_ascii=False)}\n\n"


def from_code(code: str, message: str) -> SttError:
    """Return the typed error of a failed job; one of another version becomes an InternalError."""
    for error_kind in tree(SttError):
        if error_kind.code == code and not issubclass(error_kind, BusyError):
            return error_kind(message)
    return InternalError(message)


def tree(root: type[SttError]) -> list[type[SttError]]:
    """Return an error and all below it, the most general first."""
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]
