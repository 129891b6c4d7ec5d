"""What the routes work with, built once by create_app and reached through `app.state.service`."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from services.api.auth import Authentication, KeyRing
from services.api.limits import Limits
from services.api.metrics import Metrics
from services.api.probe import Probe
from services.api.served_model import ServedModels
from services.api.waiters import Waiters
from services.contract.audio_store import AudioStore
from services.contract.events import EventReader
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.settings import ApiSettings


@dataclass(frozen=True)
class Service:
    """The parts of one API process."""

    settings: ApiSettings
    keys: KeyRing
    jobs: JobStore
    queue: JobQueue
    store: AudioStore
    events: EventReader
    models: ServedModels
    limits: Limits
    probe: Probe
    waiters: Waiters
    metrics: Metrics


async def service_of(request: Request) -> Service:
    """Return the parts of this process; async, so that FastAPI needs no thread for it."""
    return cast(Service, request.app.state.service)


Parts = Annotated[Service, Depends(service_of)]
Owner = Annotated[str, Depends(Authentication())]
