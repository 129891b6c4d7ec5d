"""Jobs: send a recording now, fetch its transcript later; list, watch, cancel, retry, delete."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from services.api import openapi
from services.api.error_handlers import request_id_of
from services.api.field_values import Cursor, JsonFormat, KnownBatch, Limit, Status, YesNo
from services.api.filenames import stem_of
from services.api.intake import Accepted, Order, recording, submit, submit_once
from services.api.job_events import job_events
from services.api.job_places import placed_view
from services.api.job_view import Deleted, JobList, JobView, job_view
from services.api.live import EventStream
from services.api.options import JobFields, lane, parse, to_options, unknown_names
from services.api.recordings import recording_response
from services.api.render import BOTH, FILE_SUFFIXES, MEDIA_TYPES, render
from services.api.retry_body import retry_pairs
from services.api.service import Owner, Parts, Service
from services.contract import retention
from services.contract.errors import AudioExpiredError
from services.contract.job_store import new_job_id
from services.contract.schema import Job

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"])
#: Fields of a retry that leave its options those of the earlier job.
NO_OPTIONS = {"batch", "priority", "model", "filename"}


@router.post("", status_code=202, response_model=JobView, **openapi.new_job())
async def create(request: Request, service: Parts, owner: Owner) -> Response:
    """Take a recording in and answer at once; the transcript comes later."""
    once = request.headers.get("idempotency-key")
    async with recording(
        request, service, owner, JobFields, allow_raw=True, may_exist=once is not None
    ) as received:
        fields = received.fields
        served = service.models.require(fields.model)
        options = to_options(fields, fields.task, served)
        queue = lane(fields, received.duration)
        order = Order(owner, options, queue, request_id_of(request), fields.batch)
        accepted = await run_in_threadpool(submit_once, service, received, order, once)
    return accepted_response(accepted, received.ignored)


@router.get("", response_model=JobList, **openapi.errors(400, 401))
def list_jobs(
    service: Parts,
    owner: Owner,
    status: Status = None,
    batch: KnownBatch = "",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> JobList:
    """List this key's jobs, newest first."""
    batch_or_all = batch or None
    page = service.jobs.list_jobs(
        owner, status=status, batch=batch_or_all, limit=limit, cursor=cursor
    )
    data = [job_view(job) for job in page.jobs]
    more = page.next_cursor is not None
    return JobList(data=data, has_more=more, next_cursor=page.next_cursor)


@router.head("/{job_id}", include_in_schema=False)
@router.get("/{job_id}", response_model=JobView, **openapi.errors(401, 404))
def get(job_id: str, service: Parts, owner: Owner) -> JobView:
    """Return one job, with its place in the queue and how long it will take."""
    return placed_view(service, service.jobs.get(job_id, owner))


@router.head("/{job_id}/transcript", include_in_schema=False)
@router.get("/{job_id}/transcript", **openapi.transcript())
def transcript(
    job_id: str,
    service: Parts,
    owner: Owner,
    format: JsonFormat = "json",
    download: YesNo = False,
) -> Response:
    """Return the transcript in any format; nothing is transcribed again."""
    job = service.jobs.get(job_id, owner)
    text = render(service.jobs.transcript(job_id), format, BOTH)
    headers = {"Cache-Control": "no-store"}
    if download:
        name = (stem_of(job.audio.filename) or "transcript") + FILE_SUFFIXES[format]
        headers |= openapi.attachment(name)
    return Response(text, media_type=MEDIA_TYPES[format], headers=headers)


@router.head("/{job_id}/audio", include_in_schema=False)
@router.get("/{job_id}/audio", **openapi.audio())
def audio(job_id: str, service: Parts, owner: Owner, request: Request) -> Response:
    """Return the recording; byte ranges are served, so that a player can seek."""
    job = service.jobs.get(job_id, owner)
    wants_bytes = request.method != "HEAD"
    asked = request.headers.get("range")
    return recording_response(service.store, job.audio, asked, wants_bytes=wants_bytes)


@router.get("/{job_id}/events", **openapi.event_stream())
async def events(
    job_id: str, service: Parts, owner: Owner, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Watch a job: `job` at every change, `segments` as text comes, then `done`."""
    await run_in_threadpool(service.jobs.get, job_id, owner)
    return EventStream(job_events(service, job_id, last_event_id))


@router.post("/{job_id}/cancel", response_model=JobView, **openapi.errors(401, 404, 409))
def cancel(job_id: str, service: Parts, owner: Owner) -> JobView:
    """Stop a job: at once if it waits, within seconds if it runs."""
    service.jobs.get(job_id, owner)
    job = service.jobs.cancel(job_id)
    service.queue.cancel(job_id)
    return job_view(job)


@router.post("/{job_id}/retry", status_code=202, response_model=JobView, **openapi.retry())
async def retry(job_id: str, request: Request, service: Parts, owner: Owner) -> Response:
    """Make a new job of the same recording, with the options that are given."""
    earlier = await run_in_threadpool(service.jobs.get, job_id, owner)
    pairs = await retry_pairs(request)
    await service.limits.admit(owner, may_exist="idempotency-key" in request.headers)
    accepted = await run_in_threadpool(again, request, service, earlier, pairs)
    return accepted_response(accepted, unknown_names(JobFields, pairs))


@router.delete("/{job_id}", response_model=Deleted, **openapi.errors(401, 404))
def delete(job_id: str, service: Parts, owner: Owner) -> Deleted:
    """Delete a job with everything: recording, text, queue entry. It may still be running."""
    service.jobs.get(job_id, owner)
    retention.erase(job_id, service.jobs, service.queue, service.store)
    return Deleted(id=job_id)


def again(
    request: Request, service: Service, earlier: Job, pairs: list[tuple[str, str]]
) -> Accepted:
    """Submit a job on the recording of an earlier one. Sync.

    Raises as `submit`, and:
        AudioExpiredError: the recording is no longer kept.
    """
    if not service.store.exists(earlier.audio.key):
        raise AudioExpiredError("The recording is no longer kept; send it again.", param="id")
    fields = parse(JobFields, pairs)
    served = service.models.require(fields.model)
    is_same = fields.model_fields_set <= NO_OPTIONS
    options = earlier.options if is_same else to_options(fields, fields.task, served)
    batch = fields.batch or earlier.batch
    queue = fields.priority or earlier.lane
    order = Order(earlier.owner, options, queue, request_id_of(request), batch)
    job = order.job(new_job_id(), earlier.audio)
    return submit(service, job, request.headers.get("idempotency-key"), retried=earlier.id)


def accepted_response(accepted: Accepted, ignored: list[str]) -> Response:
    """Answer 202 with the job and where to find it."""
    view = job_view(accepted.job)
    headers = {"Location": view.links.self, **openapi.ignored_header(ignored)}
    if not accepted.is_new:
        headers["Idempotency-Replayed"] = "true"
    return Response(
        view.model_dump_json(), status_code=202, headers=headers, media_type="application/json"
    )
