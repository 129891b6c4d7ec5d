"""OpenAI's routes: send a recording, wait, read the transcript; or watch it come.

The work is a job like any other. A client that hangs up may send the same request again and meets
its job where it is.
"""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from services.api import openapi
from services.api.error_handlers import request_id_of
from services.api.intake import Accepted, Order, recording, submit_or_attach
from services.api.live import EventStream
from services.api.options import TranscriptionFields, lane_of, to_options
from services.api.outcomes import require_succeeded
from services.api.render import OPENAI_MEDIA_TYPES, render
from services.api.service import Owner, Parts, Service
from services.api.text_stream import text_events
from services.contract.errors import UploadAbortedError
from services.contract.schema import Granularity, Task, Transcript

router = APIRouter(prefix="/v1/audio", tags=["OpenAI"])
Result = TypeVar("Result")


@router.post("/transcriptions", response_model=None, **openapi.transcription("transcribe"))
async def transcribe(request: Request, service: Parts, owner: Owner) -> Response:
    """Write down what is said in a recording."""
    return await answer(request, service, owner, "transcribe")


@router.post("/translations", response_model=None, **openapi.transcription("translate"))
async def translate(request: Request, service: Parts, owner: Owner) -> Response:
    """Write down in English what is said in a recording."""
    return await answer(request, service, owner, "translate")


async def answer(request: Request, service: Service, owner: str, task: Task) -> Response:
    """Take the recording in, wait for its job, and answer in the format that was asked for."""
    async with recording(request, service, owner, TranscriptionFields, may_exist=True) as received:
        fields = received.fields
        served = service.models.require(fields.model)
        options = to_options(fields, task, served)
        order = Order(owner, options, lane_of(received.duration), request_id_of(request))
        accepted = await run_in_threadpool(submit_or_attach, service, received, order)
    headers = {"x-job-id": accepted.job.id, **openapi.ignored_header(received.ignored)}
    if fields.stream:
        return EventStream(text_events(service, accepted), headers)
    transcript = await unless_gone(request, waited_for(service, accepted))
    granularities: Collection[Granularity] = fields.timestamp_granularities or ["segment"]
    text = await run_in_threadpool(render, transcript, fields.response_format, granularities)
    return Response(text, media_type=OPENAI_MEDIA_TYPES[fields.response_format], headers=headers)


async def waited_for(service: Service, accepted: Accepted) -> Transcript:
    """Return the transcript of a job once it is there.

    Raises:
        SttError: the error that the job ended with.
    """
    job_id = accepted.job.id
    async with service.waiters.waiting(job_id, is_ours=accepted.lives_by_waiting):
        job = await service.waiters.ended(job_id, service.settings.wait_timeout_s)
    require_succeeded(job)
    return await run_in_threadpool(service.jobs.transcript, job_id)


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Await something for a client that may hang up meanwhile.

    Raises:
        UploadAbortedError: it did; the work is canceled.
    """
    doing: asyncio.Future[Any] = asyncio.ensure_future(work)
    gone = asyncio.create_task(hung_up(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise UploadAbortedError("The client went away before the transcript was there.")
        return doing.result()  # type: ignore[no-any-return]
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def hung_up(request: Request) -> None:
    """Return when the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
