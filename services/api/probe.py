"""Is an upload audio, and how long? Asked of a small pool of processes that may be killed.

Decoders meet hostile files here first. A process that does not answer in time is killed and
replaced; the API itself never opens an upload with a decoder.
"""

import json
import logging
import queue
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter

from services.contract.errors import (
    AudioStoreError,
    EmptyAudioError,
    InternalError,
    SttError,
    UnsupportedAudioError,
)
from services.contract.schema import Seconds

logger = logging.getLogger(__name__)

#: At most so many at once: enough to keep two slow looks from holding up the rest.
N_PROCESSES = 3
#: What a process says between a request and its answer, see probe_process.py.
READING, LOOKING = "reading", "looking"
COMMAND = (sys.executable, "-m", "services.api.probe_process")


class Probe:
    """A pool of probe processes."""

    def __init__(
        self, store_url: str, timeout_s: float, command: tuple[str, ...] = COMMAND
    ) -> None:
        """Keep how to ask; nothing is started yet."""
        self._store_url = store_url
        self._timeout_s = timeout_s
        self._command = command
        self._limiter = CapacityLimiter(N_PROCESSES)
        self._idle: queue.SimpleQueue[_ProbeProcess] = queue.SimpleQueue()

    def start(self) -> None:
        """Start one process, so that no request waits for it to import its libraries."""
        self._idle.put(_ProbeProcess(self._command))

    async def duration(self, key: str, n_bytes: int) -> Seconds:
        """Return the duration of a stored recording.

        Raises:
            UnsupportedAudioError: it is not audio, or looking at it took too long.
            EmptyAudioError: it has no samples.
            AudioStoreError: it cannot be read at present, or not in time.
        """
        request = {"store": self._store_url, "key": key, "n_bytes": n_bytes}
        answer = await anyio.to_thread.run_sync(self._ask, request, limiter=self._limiter)
        if "duration" in answer:
            return float(answer["duration"])
        if answer["code"] == AudioStoreError.code:
            raise AudioStoreError(answer["message"])
        kind = EmptyAudioError if answer["code"] == EmptyAudioError.code else UnsupportedAudioError
        raise kind(answer["message"], param="file")

    def close(self) -> None:
        """Stop the processes."""
        while not self._idle.empty():
            self._idle.get().kill()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._borrowed() as process:
            return process.ask(request, self._timeout_s)

    @contextmanager
    def _borrowed(self) -> Iterator["_ProbeProcess"]:
        """Take an idle process, or start one: the limiter keeps them to N_PROCESSES."""
        process = self._take_idle() or _ProbeProcess(self._command)
        try:
            yield process
        finally:
            if process.is_alive():
                self._idle.put(process)
            else:
                process.kill()
                logger.warning("a probe process was lost")

    def _take_idle(self) -> "_ProbeProcess | None":
        with suppress(queue.Empty):
            while True:
                process = self._idle.get_nowait()
                if process.is_alive():
                    return process
                process.kill()
        return None


class _ProbeProcess:
    """One process and its two pipes."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer; a process that gives none is killed."""
        try:
            line = self._exchange(json.dumps(request).encode() + b"\n", timeout_s)
        except TimeoutError as error:
            self.kill()
            raise too_slow(timeout_s, is_reading=READING in error.args) from error
        except OSError as error:
            self.kill()
            raise InternalError("The process that looks at uploads could not be used.") from error
        if not line:
            self.kill()
            raise UnsupportedAudioError("The file crashes the decoder.", param="file")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _exchange(self, line: bytes, timeout_s: float) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise OSError("no pipes")
        stdin.write(line)
        stdin.flush()
        deadline = time.monotonic() + timeout_s
        said = b""
        while not said.endswith(b"\n") or said.decode().strip() in (READING, LOOKING):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(said.decode().strip())
            part = stdout.read1()  # type: ignore[attr-defined]
            if not part:
                return b""
            said = (said + part).splitlines(keepends=True)[-1]
        return said

    def kill(self) -> None:
        """End it, if it still runs, and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def too_slow(timeout_s: float, *, is_reading: bool) -> SttError:
    """Say whose fault it is that a look took too long: the store's, or the file's."""
    if is_reading:
        return AudioStoreError(
            f"The audio store did not give the recording within {timeout_s:g} s; try again later."
        )
    return UnsupportedAudioError(
        f"Looking at the file took longer than {timeout_s:g} s; it may be damaged.", param="file"
    )
