"""What the API is measured against: a route that streams a body to a synced file, nothing else."""

import os
from pathlib import Path
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

FOLDER = Path(os.environ.get("BARE_UPLOAD_DIR", "."))


async def upload(request: Request) -> JSONResponse:
    """Store one body."""
    name = uuid4().hex
    with (FOLDER / name).open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)
        await run_in_threadpool(sync, file.fileno())
    return JSONResponse({"id": name}, status_code=202)


def sync(descriptor: int) -> None:
    """Make the bytes durable."""
    os.fsync(descriptor)


app = Starlette(routes=[Route("/upload", upload, methods=["POST"])])
