"""The short way to the routes that take recordings, past FastAPI's routing and dependencies.

For an upload of a few seconds those cost more of the event loop's time than any other part
(benchmarks/uploads.py). The routes stay FastAPI's: it describes them, and it serves whatever is
not taken here. Both ways end in the same function, with the same arguments.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.auth import authenticated
from services.api.error_handlers import on_disconnect, on_stt_error
from services.api.service import Service
from services.contract.errors import SttError

Endpoint = Callable[[Request, Service, str], Awaitable[Response]]


@dataclass(frozen=True)
class UploadRoute:
    """One route that takes recordings by POST; metrics and log name a request by its `path`."""

    path: str
    endpoint: Endpoint


class FastPath:
    """Calls the endpoints of uploads by itself; all other requests go on."""

    def __init__(self, app: ASGIApp, service: Service, endpoints: Mapping[str, Endpoint]) -> None:
        """Wrap an application.

        Args:
            app: what takes all other requests.
            service: the parts of this process.
            endpoints: functions of (request, service, owner) by their path.
        """
        self._app = app
        self._service = service
        self._routes = {path: UploadRoute(path, each) for path, each in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_post else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        response = await self._answer(request, route.endpoint)
        await response(scope, receive, send)

    async def _answer(self, request: Request, endpoint: Endpoint) -> Response:
        try:
            owner = authenticated(request, self._service.keys)
            return await endpoint(request, self._service, owner)
        except SttError as error:
            return await on_stt_error(request, error)
        except ClientDisconnect as error:
            return await on_disconnect(request, error)
