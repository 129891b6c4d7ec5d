"""The event stream: what changed, in ids and numbers only, never text.

job_scripts.py writes it, in the same step as the change. Here one reader per API process follows
it and fans out in memory: a thousand browsers cost Redis one blocked read. Events wake; the state
itself is read from the job store. The id of an event in the stream is its SSE id.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.contract.job_scripts import EVENTS_KEPT, EVENTS_KEY
from services.contract.redis_client import PROTOCOL
from services.contract.schema import JobStatus

logger = logging.getLogger(__name__)
BLOCK_MS = 5_000
MAX_PAUSE_S = 1.0
#: Between two reads while events come faster than reads.
BUSY_PAUSE_S = 0.005
#: And while nobody listens.
NOBODY_PAUSE_S = 0.05
#: A subscriber that lags by more than this gets one "resync" in place of what it missed.
MAX_WAITING = 256


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one job. "resync" has no numbers: read the job again, something was missed."""

    id: str
    job_id: str
    kind: Literal["status", "window", "deleted", "resync"]
    status: JobStatus | None = None
    progress: float = 0.0
    n_windows: int = 0


class Subscription:
    """The events of one job for one listener, in order, without end."""

    def __init__(self, job_id: str) -> None:
        """Start empty."""
        self.job_id = job_id
        self._waiting: deque[Event] = deque()
        self._ready = asyncio.Event()

    def put(self, event: Event) -> None:
        """Hand over an event; a listener that does not keep up is told to read again."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            event = Event(event.id, self.job_id, "resync")
        self._waiting.append(event)
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return self."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event; cancel or time it out from outside."""
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()


class EventReader:
    """The one reader of the stream in an API process: `async with EventReader(url) as reader`."""

    def __init__(
        self, url: SecretStr | str, *, on_event: Callable[[Event], None] | None = None
    ) -> None:
        """Prepare the connection; reading starts with the `async with` block.

        Args:
            on_event: called with every event of every job, old ones first; must be quick.
        """
        plain = url.get_secret_value() if isinstance(url, SecretStr) else url
        # No retry inside the client: it would hide an outage, and with it the need to read again.
        self._redis = Redis.from_url(
            plain,
            protocol=PROTOCOL,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=2 * BLOCK_MS / 1000,
            socket_connect_timeout=2.0,
        )
        self._history: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._last_id = "0-0"
        self._is_current = False
        self._is_closing = False
        self._has_listener = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._on_event = on_event

    async def __aenter__(self) -> "EventReader":
        """Start reading."""
        self._task = asyncio.create_task(self._read_forever(), name="event-reader")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading and close the connection."""
        self._is_closing = True
        while self._task is not None and not self._task.done():
            # A reply that arrives at the same moment can swallow one cancellation in redis-py.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.1)
        await self._redis.aclose()

    @asynccontextmanager
    async def subscribe(
        self, job_id: str, last_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Listen to one job.

        Args:
            last_id: id of the last event that the listener saw (SSE Last-Event-ID). What came
                after it is given first; if that is not known any more, one "resync".
        """
        subscription = Subscription(job_id)
        for event in self._missed(job_id, last_id) if last_id else ():
            subscription.put(event)
        self._subscriptions.setdefault(job_id, set()).add(subscription)
        self._has_listener.set()
        try:
            yield subscription
        finally:
            self._subscriptions[job_id].discard(subscription)
            if not self._subscriptions[job_id]:
                del self._subscriptions[job_id]
            if not self._subscriptions:
                self._has_listener.clear()

    def _missed(self, job_id: str, last_id: str) -> list[Event]:
        seen, oldest = order(last_id), self._history[0].id if self._history else "0-0"
        if seen is None or not self._is_current or seen < (order(oldest) or (0, 0)):
            return [Event(self._last_id, job_id, "resync")]
        return [
            event
            for event in self._history
            if event.job_id == job_id and (order(event.id) or (0, 0)) > seen
        ]

    async def _read_forever(self) -> None:
        """Follow the stream through every outage of Redis."""
        pause_s = 0.05
        while not self._is_closing:
            try:
                await self._read()
                pause_s = 0.05
            except (RedisError, OSError) as error:
                if self._is_current:
                    logger.warning("Event stream lost", extra={"cause": type(error).__name__})
                self._is_current = False
                await asyncio.sleep(pause_s)
                pause_s = min(MAX_PAUSE_S, pause_s * 2)

    async def _read(self) -> None:
        """Read once: at the start and after an outage all there is, then waiting for more."""
        block = BLOCK_MS if self._is_current else None
        stream: Any = {EVENTS_KEY: self._last_id}
        reply: Any = await self._redis.xread(stream, count=1000, block=block)
        rows = reply[0][1] if reply else []
        for row_id, fields in rows:
            self._last_id = row_id.decode()
            try:
                self._deliver(to_event(self._last_id, fields))
            except (KeyError, ValueError):  # written by a newer version, or by a stranger
                logger.warning("Event not understood", extra={"event_id": self._last_id})
        if not rows and not self._is_current:
            self._is_current = True
            self._tell_all_to_resync()
        if rows:
            await self._rest(len(rows))

    async def _rest(self, n_rows: int) -> None:
        """Pause after a read: one for every single event costs too much when they come fast."""
        if n_rows > 1:
            await asyncio.sleep(BUSY_PAUSE_S)
        if not self._subscriptions:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_listener.wait(), NOBODY_PAUSE_S)

    def _deliver(self, event: Event) -> None:
        """Keep an event, and hand it on unless a "resync" will stand for it in a moment."""
        self._history.append(event)
        if self._on_event is not None:
            self._on_event(event)
        if self._is_current:
            for subscription in self._subscriptions.get(event.job_id, ()):
                subscription.put(event)

    def _tell_all_to_resync(self) -> None:
        for job_id, subscriptions in self._subscriptions.items():
            for subscription in subscriptions:
                subscription.put(Event(self._last_id, job_id, "resync"))


def to_event(event_id: str, fields: dict[bytes, bytes]) -> Event:
    """Decode one entry of the stream."""
    known: dict[str, Any] = {k.decode(): v.decode() for k, v in fields.items()}
    return Event(
        event_id,
        known["job"],
        known["kind"],
        JobStatus(known["status"]),
        float(known["progress"]),
        int(known["n_windows"]),
    )


def order(event_id: str) -> tuple[int, int] | None:
    """Return what event ids are ordered by, or None for what is not one."""
    time, dash, number = event_id.partition("-")
    if not (time.isdigit() and number.isdigit() and dash and event_id.isascii()):
        return None
    return int(time), int(number)
