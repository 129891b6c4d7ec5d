"""Start reading here: create_app builds every part of one API process and joins them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from redis import Redis
from starlette.middleware.cors import CORSMiddleware

from services.api import (
    batches,
    error_handlers,
    health,
    jobs,
    models,
    pages,
    transcriptions,
)
from services.api.auth import KeyRing
from services.api.fast_path import FastPath
from services.api.limits import Limits
from services.api.maintenance import refresh_forever, sweep_forever
from services.api.metrics import Metrics, SharedFigures
from services.api.middleware import RequestIds, Unfinished, UnreadBodies
from services.api.probe import Probe
from services.api.served_model import ServedModels
from services.api.service import Service
from services.api.waiters import Waiters
from services.contract.audio_store import AudioStore
from services.contract.events import EventReader
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.redis_client import connect
from services.contract.settings import ApiSettings

VERSION = "0.1.0"
#: Calls to Redis and the store run in threads; each is short.
N_THREADS = 64
#: The routes that take recordings, which FastPath calls by itself.
UPLOADS = {
    "/v1/jobs": jobs.create,
    "/v1/audio/transcriptions": transcriptions.transcribe,
    "/v1/audio/translations": transcriptions.translate,
}
#: What scripts of other origins may read of an answer beside its body.
EXPOSED_HEADERS = (
    "Content-Disposition",
    "Content-Range",
    "Location",
    "Retry-After",
    "Idempotency-Replayed",
    "x-request-id",
    "x-should-retry",
    "x-job-id",
    "x-ignored-fields",
)


def create_app(settings: ApiSettings, *, redis: Redis | None = None) -> FastAPI:
    """Build the application; nothing runs before its lifespan starts.

    Args:
        settings: of this process.
        redis: another client than settings.redis_url gives; the event stream uses the URL.
    Raises:
        SettingsError: the settings do not fit together.
    """
    service = build(settings, redis or connect(settings.redis_url))
    app = FastAPI(
        title="whisper-sv",
        version=VERSION,
        description="Speech to text. Errors have one shape: see docs/api.md.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for router in (transcriptions, jobs, batches, models, health):
        app.include_router(router.router)
    pages.install(app)
    error_handlers.install(app)
    app.add_middleware(FastPath, service=service, endpoints=UPLOADS)
    app.add_middleware(UnreadBodies)
    app.add_middleware(Unfinished)
    allow_pages_elsewhere(app, settings.origins)
    app.add_middleware(RequestIds, metrics=service.metrics)
    return app


def allow_pages_elsewhere(app: FastAPI, origins: list[str]) -> None:
    """Let web pages of other origins call the API from a browser, if any are named."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )


def build(settings: ApiSettings, redis: Redis) -> Service:
    """Build the parts of one process."""
    store = AudioStore(settings.audio_store_url)
    job_store = JobStore(
        redis,
        transcript_ttl_s=settings.transcript_ttl_s,
        audio_ttl_s=settings.audio_ttl_s,
        max_unfinished=settings.concurrency_limit,
    )
    queue = JobQueue(redis)
    metrics = Metrics()
    metrics.tell_also(SharedFigures(queue, store))
    events = EventReader(settings.redis_url, on_event=metrics.on_event)
    return Service(
        settings=settings,
        keys=KeyRing.of(settings),
        jobs=job_store,
        queue=queue,
        store=store,
        events=events,
        models=ServedModels(settings, queue),
        limits=Limits(settings, redis, job_store, queue),
        probe=Probe(settings.audio_store_url, settings.probe_timeout_s),
        waiters=Waiters(redis, job_store, queue, events, settings.orphan_grace_s),
        metrics=metrics,
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the event stream and sweep while the application runs."""
    service: Service = app.state.service
    to_thread.current_default_thread_limiter().total_tokens = N_THREADS
    service.probe.start()
    async with service.events:
        await to_thread.run_sync(service.models.refresh)
        tasks = [asyncio.create_task(work(service)) for work in (sweep_forever, refresh_forever)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await service.waiters.close()
            service.probe.close()
