"""What happens to a job, as it happens: server-sent events over connections that may break."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from services.client import error_answers
from services.client.answers import JobAnswer, SegmentAnswer, SegmentsAnswer
from services.client.connection import Connection, asked_pause_s, is_temporary
from services.contract.errors import ServiceError, SttError


@dataclass(frozen=True)
class JobEvent:
    """One event; `job` is set for kind job, `segments` for kind segments."""

    kind: Literal["job", "segments", "done"]
    job: JobAnswer | None = None
    segments: tuple[SegmentAnswer, ...] = ()


def follow(connection: Connection, job_id: str) -> Iterator[JobEvent]:
    """Yield a job's events until `done`.

    A broken connection is made again with Last-Event-ID, so that no event is missed or seen
    twice; the connection's patience starts anew with every event that arrives.

    Raises:
        SttError: the API refuses (no such job, say), or is away for longer than the patience.
    """
    path = f"/v1/jobs/{quote(job_id, safe='')}/events"
    last_id = ""
    patience = connection.patience()
    while True:
        pause_s = 0.0
        failure: SttError = ServiceError(
            f"The event stream of job {job_id} ended early, again and again"
        )
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        try:
            with connection.http.stream("GET", path, headers=headers) as response:
                if response.is_success:
                    connection.was_reached = True
                    for message in EventSource(response).iter_sse():
                        last_id = message.id or last_id
                        patience = connection.patience()
                        if (event := _parse(message, response.url)) is not None:
                            yield event
                        if message.event == "done":
                            return
                else:
                    response.read()
                    failure, pause_s = (
                        error_answers.from_response(response),
                        asked_pause_s(response),
                    )
                    if not is_temporary(response):
                        raise failure
        except SSEError as error:  # A kind of TransportError, but a lasting one.
            raise ServiceError(f"{connection.base_url} does not send events: {error}") from error
        except httpx.RequestError as error:
            failure = connection.unreachable(error)
            if not connection.was_reached:
                raise failure from error
        if not patience.pause(failure, pause_s):
            raise failure


def _parse(message: ServerSentEvent, url: httpx.URL) -> JobEvent | None:
    """Read one event; None for a kind that this client does not know."""
    if message.event == "job":
        return JobEvent("job", job=JobAnswer.read(message.data, url))
    if message.event == "segments":
        answer = SegmentsAnswer.read(message.data, url)
        return JobEvent("segments", segments=answer.segments)
    return JobEvent("done") if message.event == "done" else None
