"""Alive, ready, and figures."""

import asyncio
from collections.abc import Callable

import anyio
from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from services.api import openapi
from services.api.service import Parts, Service
from services.contract.errors import AudioStoreError, QueueUnavailableError, SttError
from services.contract.redis_client import redis_errors

router = APIRouter(tags=["Operations"])
#: A part that takes longer is not ready: whoever asks waits a few seconds at most, and clients of
#: Redis and of buckets try again for longer.
CHECK_S = 2.0


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Say that the process answers; nothing else is asked."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "A part does not answer."}})
async def ready(service: Parts) -> Response:
    """Say whether uploads would work: Redis, the audio store, and a worker if one is required."""
    checks = await check_all(service)
    is_ready = all(state == "ok" for state in checks.values())
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return JSONResponse(body, status_code=200 if is_ready else 503)


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", **openapi.metrics())
def metrics(service: Parts) -> Response:
    """Return all figures in Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def check_all(service: Service) -> dict[str, str]:
    """Return the state of each part: `ok`, or the code of what is wrong."""
    redis, audio_store = await asyncio.gather(
        state(redis_state, service, QueueUnavailableError),
        state(store_state, service, AudioStoreError),
    )
    checks = {"redis": redis, "audio_store": audio_store}
    if service.settings.ready_requires_worker:
        checks["worker"] = "unknown"
        if redis == "ok":
            checks["worker"] = await state(worker_state, service, QueueUnavailableError)
    return checks


async def state(check: Callable[[Service], str], service: Service, slow: type[SttError]) -> str:
    """Return what a check in a thread says, the code of its error, or that of a part too slow."""
    try:
        with anyio.fail_after(CHECK_S):
            return await to_thread.run_sync(check, service, abandon_on_cancel=True)
    except TimeoutError:
        return slow.code
    except SttError as error:
        return error.code


@redis_errors()
def redis_state(service: Service) -> str:
    """Write a few bytes: a Redis that is full, or a replica, answers and takes no job."""
    service.jobs.redis.set("stt:ready", "1", ex=60)
    return "ok"


def store_state(service: Service) -> str:
    """Write and delete a few bytes there."""
    service.store.check()
    return "ok"


def worker_state(service: Service) -> str:
    """Say whether a worker is alive."""
    return "ok" if service.queue.workers_alive() else "no_worker"
