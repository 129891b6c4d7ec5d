"""Two threads beside the main one: leases and cancellations, and a watch over the process."""

import logging
import os
import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from services.contract.errors import QueueUnavailableError

logger = logging.getLogger(__name__)

_CANCEL_POLL_S = 0.5
_WATCHDOG_S = 0.5


class Keeper(threading.Thread):
    """Renews leases three times per lease, and asks twice a second what was canceled."""

    def __init__(
        self, renew: Callable[[], None], hear: Callable[[], None], *, lease_s: float
    ) -> None:
        super().__init__(name="keeper", daemon=True)
        self._renew = renew
        self._hear = hear
        self._beat_s = lease_s / 3
        self._stopped = threading.Event()

    def run(self) -> None:
        """Work until `stop`; an outage of Redis is waited out."""
        beaten_at, is_away = float("-inf"), False
        while not self._stopped.is_set():
            try:
                if time.monotonic() - beaten_at >= self._beat_s:
                    beaten_at = time.monotonic()
                    self._renew()
                self._hear()
                is_away = False
            except (RedisError, QueueUnavailableError) as error:
                beaten_at = float("-inf")  # leases first when Redis is back
                if not is_away:  # One line for an outage of hours.
                    logger.warning("could not renew leases: %s", error)
                is_away = True
            self._stopped.wait(_CANCEL_POLL_S)

    def stop(self) -> None:
        """End with the step under way."""
        self._stopped.set()


class Watchdog(threading.Thread):
    """Ends a process that cannot end itself: nothing interrupts a library call from inside."""

    def __init__(self, hangs: Callable[[], bool], overstays: Callable[[], bool]) -> None:
        """Watch nothing yet.

        Args:
            hangs: whether the engine will never answer.
            overstays: whether the process should have stopped by now.
        """
        super().__init__(name="watchdog", daemon=True)
        self._hangs = hangs
        self._overstays = overstays

    def run(self) -> None:
        """Look twice a second."""
        while not self._hangs():
            if self._overstays():
                logger.warning("left without a word to Redis, leases do the rest")
                os._exit(os.EX_OK)
            time.sleep(_WATCHDOG_S)
        logger.critical("the model answers no more; leaving, other workers take the jobs over")
        os._exit(os.EX_SOFTWARE)
