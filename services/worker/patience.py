"""Waiting out an outage of Redis or the audio store: work that is done must not be lost to it.

A run that gives up while its worker lives would count as that worker's death, and its recording as
a suspect. So it goes on trying for as long as the worker lets it.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from services.contract.errors import AudioStoreError, QueueUnavailableError
from services.worker.job_token import JobToken

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
#: Between two tries: a Redis that refuses, because it is full say, answers at once.
PAUSE_S = 1.0
#: A store that is away for longer fails the job: it does not come back by itself.
STORE_PATIENCE_S = 600.0


def outwait(
    token: JobToken, step: Callable[..., Result], *args: object, at_most_s: float = math.inf
) -> Result:
    """Call `step(*args)` until Redis and the audio store let it through.

    Raises:
        QueueUnavailableError, AudioStoreError: they did not in time.
        JobInterrupted, JobLost, TranscriptionTimeoutError: the run must end meanwhile.
    """
    began, is_told = time.monotonic(), False
    while True:
        try:
            return step(*args)
        except (QueueUnavailableError, AudioStoreError) as error:
            if time.monotonic() - began >= at_most_s:
                raise
            if not is_told:
                logger.warning("a run waits: %s", error.message)
            is_told = True
            token.check()
            time.sleep(PAUSE_S)
