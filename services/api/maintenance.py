"""What an API process does beside answering: sweep what is due, see which model is served."""

import asyncio
import logging

from anyio import to_thread

from services.api.served_model import REFRESH_S
from services.api.service import Service
from services.contract import retention
from services.contract.errors import SttError

logger = logging.getLogger(__name__)


async def refresh_forever(service: Service) -> None:
    """Keep up with deploys and with what workers have loaded, and with the queue's length."""
    while True:
        await asyncio.sleep(REFRESH_S)
        await to_thread.run_sync(service.models.refresh)


async def sweep_forever(service: Service) -> None:
    """Sweep every minute; over all processes it happens once."""
    while True:
        try:
            portions = retention.sweep(service.jobs, service.queue, service.store)
            # One at a time: a thread cannot be told to stop.
            while (counts := await to_thread.run_sync(next, portions, None)) is not None:
                logger.debug("swept", extra={"recordings": counts.recordings, "jobs": counts.jobs})
        except SttError as error:
            logger.warning("could not sweep", extra={"code": error.code})
        await asyncio.sleep(retention.SWEEP_EVERY_S)
