"""The Python client: one object, one method per thing the API can do with jobs.

    with Client("http://127.0.0.1:8000") as client:
        job = client.submit("meeting.mp3", JobRequest(language="sv"))
        client.wait(job.id)
        print(client.transcript(job.id, "srt"))

Errors are those of contract/errors.py. It is safe to use from several threads.
"""

import io
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

from services.client.answers import (
    BatchAnswer,
    JobAnswer,
    JobPageAnswer,
    ModelAnswer,
    ModelListAnswer,
)
from services.client.connection import Connection
from services.client.file_names import shown
from services.client.job_events import JobEvent, follow
from services.contract.errors import InvalidRequestError
from services.contract.schema import JobStatus, Lane, Mode, Task, TranscriptFormat

DEFAULT_BASE_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What to do with a recording; fields as in the API, None leaves its default."""

    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    words: bool = False
    """Also give the time of every word."""
    task: Task | None = None
    mode: Mode | None = None
    temperature: float | None = None
    batch: str | None = None
    priority: Lane | None = None

    def fields(self) -> dict[str, str | list[str]]:
        """Return the form fields that differ from the API's defaults."""
        fields: dict[str, Any] = {
            "language": self.language,
            "prompt": self.prompt,
            "keywords[]": list(self.keywords),
            "timestamp_granularities[]": ["segment", "word"] if self.words else [],
            "task": self.task,
            "mode": self.mode,
            "temperature": None if self.temperature is None else str(self.temperature),
            "batch": self.batch,
            "priority": self.priority,
        }
        return {name: value for name, value in fields.items() if value not in (None, [])}


class Client:
    """Talks to one API. Close it, or use it in a `with` statement."""

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str = "",
        *,
        patience_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            base_url: address of the API, without /v1.
            api_key: key to send; empty sends none.
            patience_s: how long to try again while the API is busy or away. An API that never
                answered is not waited for: the address is probably wrong.
            transport: another way to reach the API, for tests.
        """
        self._connection = Connection(base_url, api_key, patience_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._connection.http.close()

    def submit(
        self,
        recording: Path | str | bytes,
        request: JobRequest | None = None,
        *,
        filename: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobAnswer:
        """Send a recording; return its job without waiting for the transcript.

        Args:
            recording: a path, or the bytes of a file in any format that the API accepts.
            request: language and other options.
            filename: name to show for it; a path's own name by default.
            idempotency_key: sending again with the same key gives the same job; made up when
                missing, so that a retry of this call cannot make two jobs.
        Raises:
            InvalidRequestError: the path cannot be read.
        """
        fields = (request or JobRequest()).fields()
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        name = filename or ("recording" if isinstance(recording, bytes) else Path(recording).name)
        with _opened(recording) as file:
            answer = self._connection.send(
                lambda: self._upload("/v1/jobs", (shown(name), file), fields, headers)
            )
        return JobAnswer.read(answer.content, answer.url)

    def job(self, job_id: str) -> JobAnswer:
        """Return the job as it is now."""
        answer = self._call("GET", _job_path(job_id))
        return JobAnswer.read(answer.content, answer.url)

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """Yield what happens to a job until it has ended, over broken connections too."""
        return follow(self._connection, job_id)

    def wait(self, job_id: str) -> JobAnswer:
        """Return the job once it has ended, whatever its end."""
        for _ in self.events(job_id):
            pass
        return self.job(job_id)

    def transcript(self, job_id: str, transcript_format: TranscriptFormat = "text") -> str:
        """Return the transcript in one of the API's formats, as text."""
        query = {"format": transcript_format}
        return self._call("GET", _job_path(job_id, "transcript"), params=query).text

    def cancel(self, job_id: str) -> JobAnswer:
        """Stop a job that has not ended."""
        answer = self._call("POST", _job_path(job_id, "cancel"))
        return JobAnswer.read(answer.content, answer.url)

    def retry(
        self,
        job_id: str,
        request: JobRequest | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> JobAnswer:
        """Run the same recording again as a new job, with other options if given.

        Args:
            job_id: the job that is done again.
            request: other options.
            idempotency_key: as in `submit`.
        """
        body = (request or JobRequest()).fields()
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        answer = self._call("POST", _job_path(job_id, "retry"), json=body, headers=headers)
        return JobAnswer.read(answer.content, answer.url)

    def delete(self, job_id: str) -> None:
        """Remove a job with its recording and its transcript."""
        self._call("DELETE", _job_path(job_id))

    def jobs(
        self, *, status: JobStatus | None = None, batch: str | None = None
    ) -> Iterator[JobAnswer]:
        """Yield this key's jobs, newest first, page by page."""
        query: dict[str, str] = {"limit": "100"}
        query |= {"status": status} if status else {}
        query |= {"batch": batch} if batch else {}
        while True:
            answer = self._call("GET", "/v1/jobs", params=query)
            page = JobPageAnswer.read(answer.content, answer.url)
            yield from page.data
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def batch(self, name: str) -> BatchAnswer:
        """Return the counts and progress of a batch."""
        answer = self._call("GET", f"/v1/batches/{quote(name, safe='')}")
        return BatchAnswer.read(answer.content, answer.url)

    def models(self) -> tuple[ModelAnswer, ...]:
        """Return the models that the API serves."""
        answer = self._call("GET", "/v1/models")
        return ModelListAnswer.read(answer.content, answer.url).data

    def _call(self, method: str, path: str, **details: Any) -> httpx.Response:
        http = self._connection.http
        return self._connection.send(lambda: http.build_request(method, path, **details))

    def _upload(
        self,
        path: str,
        named_file: tuple[str, BinaryIO],
        fields: dict[str, str | list[str]],
        headers: dict[str, str],
    ) -> httpx.Request:
        """Build the request with the file from its start; fields go before the file."""
        named_file[1].seek(0)
        return self._connection.http.build_request(
            "POST", path, data=fields, files={"file": named_file}, headers=headers
        )


def _job_path(job_id: str, part: str = "") -> str:
    path = f"/v1/jobs/{quote(job_id, safe='')}"
    return f"{path}/{part}" if part else path


def _opened(recording: Path | str | bytes) -> AbstractContextManager[BinaryIO]:
    if isinstance(recording, bytes):
        return io.BytesIO(recording)
    try:
        return Path(recording).open("rb")
    except OSError as error:
        raise InvalidRequestError(f"Cannot read {recording}: {error.strerror}") from error
