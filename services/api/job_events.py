"""The events of a job for a browser: `job`, `segments`, `done`, with ids to resume from.

The id of an event is how many windows were told up to it, so that a client which comes back, to
any API process, gets each segment once.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from services.api.job_places import placed_view
from services.api.job_view import job_view
from services.api.live import PING, follow
from services.api.service import Service
from services.contract.errors import JobNotFoundError, QueueUnavailableError
from services.contract.schema import Job, WindowResult

_ID = re.compile(r"^(?P<n_windows>\d{1,9})$")


async def job_events(service: Service, job_id: str, last_id: str | None) -> AsyncIterator[str]:
    """Yield the server-sent events of a job until it has ended.

    Args:
        last_id: the Last-Event-ID of a client that comes back.
    """
    n_told = windows_told(last_id)
    told: dict[str, Any] = {}
    job: Job | None = None
    try:
        async for change in follow(service, job_id, n_told):
            if change is None:
                yield PING
            else:
                job, first, windows = change
                for window in windows:
                    yield event("segments", segments(window), window.index + 1)
                n_told = first + len(windows)
            # Also after a quiet while: the line before a waiting job has moved on.
            state = await seen_now(service, job, told) if job else told
            if state != told:
                told = state
                yield event("job", state, n_told)
    except JobNotFoundError as error:
        yield event("error", {"code": error.code, "message": "The job was deleted."}, n_told)
        return
    yield event("done", told, n_told)


async def seen_now(service: Service, job: Job, told: dict[str, Any]) -> dict[str, Any]:
    """Return the view of a job with its place; what was told while Redis does not answer."""
    try:
        view = await run_in_threadpool(placed_view, service, job)
    except QueueUnavailableError:
        return told or job_view(job).model_dump(mode="json")
    return view.model_dump(mode="json")


def windows_told(last_id: str | None) -> int:
    """Return how many windows the client already has."""
    match = _ID.match(last_id or "")
    return int(match["n_windows"]) if match else 0


def segments(window: WindowResult) -> dict[str, Any]:
    """Return what is new with one window."""
    return {
        "window": window.index,
        "start": window.start,
        "end": window.end,
        "language": window.language,
        "segments": [
            s.model_dump(mode="json", include={"start", "end", "text", "words", "avg_logprob"})
            for s in window.segments
        ],
    }


def event(name: str, data: dict[str, Any], n_told: int) -> str:
    """Return one server-sent event."""
    return f"id: {n_told}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
