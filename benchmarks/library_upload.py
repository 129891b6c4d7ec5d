"""What the upload's libraries take without us: FastAPI, python-multipart, one enqueueing by RQ.

A route that does nothing else with an upload: it parses the form, hashes the file and syncs it,
and puts a job into a queue. What it reaches bounds what any route on these libraries can reach.
"""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from python_multipart.multipart import MultipartParser, parse_options_header
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from starlette.concurrency import run_in_threadpool

FOLDER = Path(os.environ.get("LIBRARY_UPLOAD_DIR", "."))
REDIS_URL = os.environ.get("LIBRARY_UPLOAD_REDIS_URL", "redis://127.0.0.1:6379/0")

app = FastAPI()
queue = Queue("library", connection=Redis.from_url(REDIS_URL), serializer=JSONSerializer)


@app.post("/upload", status_code=202)
async def upload(request: Request) -> JSONResponse:
    """Store and queue one recording."""
    name = uuid4().hex
    digest = hashlib.sha256()
    with (FOLDER / name).open("wb") as file:

        def keep(data: bytes, start: int, end: int) -> None:
            file.write(data[start:end])
            digest.update(data[start:end])

        boundary = parse_options_header(request.headers["content-type"])[1][b"boundary"]
        parser = MultipartParser(boundary, {"on_part_data": keep})
        async for chunk in request.stream():
            parser.write(chunk)
        await run_in_threadpool(finish, name, file)
    return JSONResponse({"id": name, "sha256": digest.hexdigest()}, status_code=202)


def finish(name: str, file: BinaryIO) -> None:
    """Make the recording durable, then queue a job for it."""
    file.flush()
    os.fsync(file.fileno())
    queue.enqueue("nowhere.transcribe", kwargs={"job_id": name}, job_id=name, job_timeout=900)
