"""Following a job: its state and its newly finished windows, as they come.

Events only wake; what is told is read from the job store. So nothing is lost when an event is, when
Redis restarts, or when a client comes back to another API process.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Send

from services.api.service import Service
from services.api.waiters import next_change
from services.contract.errors import QueueUnavailableError
from services.contract.schema import Job, WindowResult

#: Proxies close connections that are silent for longer; a comment line keeps them open.
PING_S = 15.0
PING = ": ping\n\n"
#: Windows that are read at once.
PAGE = 64
Change = tuple[Job, int, list[WindowResult]]


class EventStream(StreamingResponse):
    """Server-sent events; ends its generator at once when the client has gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], headers: dict[str, str] | None = None) -> None:
        """Stream events, unbuffered by caches and proxies."""
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers={**(headers or {}), **unbuffered})

    async def stream_response(self, send: Send) -> None:
        """Send all events, and close their source whatever happens."""
        async with aclosing(cast("_Closable", self.body_iterator)):
            await super().stream_response(send)


class _Closable:
    """What aclosing asks of the generators that are given here."""

    async def aclose(self) -> None:
        """Run the generator's finally blocks."""


async def follow(service: Service, job_id: str, first: int = 0) -> AsyncIterator[Change | None]:
    """Yield (job, index of the first new window, new windows) at every change, to the end.

    None means that nothing happened for a while, or that Redis does not answer just now: send a
    ping. Windows come in order and without gaps; if the job starts again on another model they
    begin at 0 again.

    Raises:
        JobNotFoundError: the job was deleted.
    """
    async with service.events.subscribe(job_id) as events:
        while True:
            try:
                job = await run_in_threadpool(service.jobs.get, job_id)
                first = first if first <= job.n_windows else 0
                windows = await _new_windows(service, job, first)
            except QueueUnavailableError:
                yield None
                await next_change(events, 1.0)
                continue
            yield job, first, windows
            first += len(windows)
            if len(windows) == PAGE:
                continue
            if job.status.is_terminal:
                return
            if not await next_change(events, PING_S):
                yield None


async def _new_windows(service: Service, job: Job, first: int) -> list[WindowResult]:
    if job.n_windows <= first:
        return []
    return await run_in_threadpool(service.jobs.windows_from, job.id, first, PAGE)
