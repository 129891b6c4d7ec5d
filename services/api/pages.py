"""The web page: files of services/api/page, under a policy that loads nothing from elsewhere."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = Path(__file__).parent / "page"


def _inline_scripts() -> str:
    """Return the sources by which a policy allows the scripts within the page, and no others.

    Each is the SHA-256 of the script's text, by Content Security Policy Level 3, section 6.7.3.3.
    """
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()) for script in scripts)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' {_inline_scripts()}",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.head("/", include_in_schema=False)
@router.get("/")
def index() -> FileResponse:
    """Return the page."""
    return FileResponse(PAGE / "index.html", headers=HEADERS)


@router.head("/favicon.ico", include_in_schema=False)
@router.get("/favicon.ico")
def icon() -> FileResponse:
    """Return the icon that browsers ask for unasked."""
    return FileResponse(PAGE / "icon.svg", media_type="image/svg+xml", headers=HEADERS)


class _Guarded:
    """Adds the page's headers to its files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, add_headers)


def install(app: FastAPI) -> None:
    """Serve the page at / and its files below /page."""
    app.include_router(router)
    app.mount("/page", _Guarded(StaticFiles(directory=PAGE)), name="page")
