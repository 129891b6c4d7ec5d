"""What an API process does beside answering: the sweep of what is due."""

import asyncio
import logging

from anyio import to_thread

from services.api.service import Service
from services.contract import retention
from services.contract.errors import SttError

logger = logging.getLogger(__name__)


async def sweep_forever(service: Service) -> None:
    """Sweep every minute; over all processes it happens once."""
    while True:
        try:
            counts = await to_thread.run_sync(
                retention.sweep, service.jobs, service.queue, service.store
            )
            if counts is not None:
                logger.debug("swept", extra={"recordings": counts.recordings, "jobs": counts.jobs})
        except SttError as error:
            logger.warning("could not sweep", extra={"code": error.code})
        await asyncio.sleep(retention.SWEEP_EVERY_S)
