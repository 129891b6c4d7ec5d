"""The processes of one machine: Redis, API and worker, started in order and kept running."""

import logging
import signal
import time
from collections.abc import Callable, Mapping
from typing import Self

import httpx

from services.client.child_process import ChildPlan, ChildProcess, wait_until
from services.contract.errors import ServiceError

logger = logging.getLogger(__name__)

#: Redis reads its append-only file first: hundreds of megabytes take a while.
REDIS_TIMEOUT_S = 60.0
WATCH_S = 0.2
FIRST_RESTART_S = 0.5
LONGEST_RESTART_S = 30.0
#: A process that ran this long has recovered; its next restart is quick again.
RECOVERED_S = 60.0


class Stack:
    """Starts processes, restarts the ones that die, and stops all in the reverse order."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        """Begin with nothing.

        Args:
            check: called often while this waits; what it raises ends the wait.
        """
        self._check = check
        self._children: dict[str, ChildProcess] = {}
        self._restarts: dict[str, _Restarts] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, plan: ChildPlan) -> None:
        """Start one process.

        Raises:
            ServiceError: its program cannot be run.
        """
        try:
            self._children[plan.name] = ChildProcess(plan)
        except OSError as error:
            raise ServiceError(f"Cannot start {plan.command[0]}: {error.strerror}") from error
        self._restarts[plan.name] = _Restarts()

    def pids(self) -> Mapping[str, int]:
        """Return the process ids by name."""
        return {name: child.pid for name, child in self._children.items()}

    def wait_until(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait for something that the processes started so far should bring about.

        Raises:
            ServiceError: one of them ended instead, or the time is up.
        """

        def is_decided() -> bool:
            self._check()
            return self._ended() is not None or is_done()

        in_time = wait_until(is_decided, timeout_s)
        if ended := self._ended():
            raise ServiceError(f"{ended.plan.name}: {ended.last_words() or 'ended at once'}")
        if not in_time:
            raise ServiceError(f"{what} was not ready after {timeout_s:.0f} s; see the logs")

    def watch(self, tell: Callable[[str], None]) -> None:
        """Restart what dies, until the check raises; each time with one line to `tell`."""
        while True:
            self._check()
            time.sleep(WATCH_S)
            for name, child in self._children.items():
                if child.exit_status is not None:
                    self._revive(name, child, tell)

    def stop(self) -> None:
        """End every process, the last started first."""
        while self._children:
            _, child = self._children.popitem()
            child.stop()

    def _ended(self) -> ChildProcess | None:
        return next((c for c in self._children.values() if c.exit_status is not None), None)

    def _revive(self, name: str, child: ChildProcess, tell: Callable[[str], None]) -> None:
        restarts = self._restarts[name]
        if restarts.due_at is None:
            restarts.plan_next()
            why = _reason(child.exit_status or 0)
            tell(f"The {name} process {why}; starting it again (log: {child.plan.log_file})")
        elif time.monotonic() >= restarts.due_at:
            restarts.done()
            self._children[name] = ChildProcess(child.plan)


class _Restarts:
    """When a process may be started again: soon at first, ever later while it keeps dying."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self._pause_s = FIRST_RESTART_S
        self._started_at = time.monotonic()

    def plan_next(self) -> None:
        if time.monotonic() - self._started_at > RECOVERED_S:
            self._pause_s = FIRST_RESTART_S
        self.due_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_RESTART_S)

    def done(self) -> None:
        self.due_at = None
        self._started_at = time.monotonic()


def _reason(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def answers_ready(base_url: str) -> bool:
    """Whether the API there says that it, Redis, store and a worker can take jobs."""
    try:
        # Loopback must not go through a proxy of the environment.
        return httpx.get(f"{base_url}/readyz", timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False
