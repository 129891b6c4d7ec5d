"""Alive, ready, and figures."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from services.api import openapi
from services.api.service import Parts, Service
from services.contract.errors import SttError
from services.contract.redis_client import redis_errors

router = APIRouter(tags=["Operations"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Say that the process answers; nothing else is asked."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "A part does not answer."}})
async def ready(service: Parts) -> Response:
    """Say whether uploads would work: Redis, the audio store, and a worker if one is required."""
    checks = await run_in_threadpool(check_all, service)
    is_ready = all(state == "ok" for state in checks.values())
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return JSONResponse(body, status_code=200 if is_ready else 503)


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", **openapi.metrics())
def metrics(service: Parts) -> Response:
    """Return all figures in Prometheus' text format."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def check_all(service: Service) -> dict[str, str]:
    """Return the state of each part: `ok`, or the code of what is wrong. Sync."""
    checks = {"redis": "ok", "audio_store": "ok"}
    try:
        try_redis(service)
    except SttError as error:
        checks["redis"] = error.code
    try:
        service.store.check()
    except SttError as error:
        checks["audio_store"] = error.code
    if service.settings.ready_requires_worker:
        checks["worker"] = worker_state(service) if checks["redis"] == "ok" else "unknown"
    return checks


@redis_errors()
def try_redis(service: Service) -> None:
    """Write a few bytes: a Redis that is full, or a replica, answers and takes no job."""
    service.jobs.redis.set("stt:ready", "1", ex=60)


def worker_state(service: Service) -> str:
    """Say whether a worker is alive."""
    return "ok" if service.queue.workers_alive() else "no_worker"
