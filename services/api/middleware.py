"""ASGI middleware: request ids and the access log, and gentle ends: of bodies, and of the process.

Plain ASGI, since Starlette's BaseHTTPMiddleware would buffer uploads and break streaming.
"""

import asyncio
import logging
import os
import re
import time
from random import Random

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.error_handlers import answered
from services.api.metrics import Metrics
from services.contract.errors import StoppingError

access_logger = logging.getLogger("services.api.access")

_SAFE_ID = re.compile(r"^[\w.:@-]{1,100}$", re.ASCII)
_PRIVATE_STATUS = 500
#: Any other is a word of the client's own: each would be a series in /metrics for ever.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What browsers must not do with any answer: keep names and text on the disk, or read text as
#: something that runs. Routes that know better say so.
CAREFUL = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
# Ids for logs need not be secret; the system's own randomness costs a call each time.
_numbers = Random(os.urandom(32))


class RequestIds:
    """Gives every request an id, says it in the answer, and writes one log line per request.

    The line has no query and no body: those may hold names, prompts or text.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SAFE_ID.match(given) else f"{_numbers.getrandbits(128):032x}"
        scope["request_id"] = request_id
        status = _PRIVATE_STATUS
        began = time.monotonic()

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in CAREFUL:
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, tell)
        finally:
            self._log(scope, status, time.monotonic() - began)

    def _log(self, scope: Scope, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count_request(method, route, status, took_s)
        access_logger.info(
            "%s %s %d",
            method,
            route,
            status,
            extra={"request_id": scope["request_id"], "took_s": round(took_s, 4)},
        )


class Unfinished:
    """Answers requests that are under way when the process stops: send it again.

    The server cancels them, and nothing else cancels one. A stream that has begun is cut, and its
    client comes back by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except asyncio.CancelledError:
            if not has_begun:
                error = StoppingError("The service restarts; send the same request again.")
                await answered(Request(scope), error)(scope, receive, send)


class UnreadBodies:
    """Lets a client that is still sending read the answer to a body that was refused.

    A connection that is closed while data waits in it is reset, and a reset throws away the
    answer on its way to the client. So the rest of the body is read for a moment before the
    connection is closed, as nginx does with its lingering_close.
    """

    LINGER_S = 2.0

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def end_gently(message: Message) -> None:
            if body.is_over:
                await send(message)
                return
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await send({**message, "more_body": True})
                await body.drain(self.LINGER_S)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, body.receive, end_gently)


class _Body:
    """The request's body, as far as it has been read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_over = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                while not self.is_over:
                    await self.receive()
        except TimeoutError:
            return
