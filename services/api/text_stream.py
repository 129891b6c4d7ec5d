"""OpenAI's streaming answer: `transcript.text.delta` as windows finish, then `.done`.

All deltas together are the text of the last event. An error after the answer has begun is an event
too, as OpenAI's clients expect it.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool

from services.api.error_handlers import as_event
from services.api.intake import Accepted
from services.api.live import PING, follow
from services.api.outcomes import require_succeeded
from services.api.service import Service
from services.contract.errors import SttError
from services.contract.schema import Segment, Transcript, WindowResult

#: Source: openai/whisper audio.py, TOKENS_PER_SECOND ("20ms per audio token").
AUDIO_TOKENS_PER_SECOND = 50


async def text_events(service: Service, accepted: Accepted) -> AsyncIterator[str]:
    """Yield the server-sent events of one transcription."""
    text = GrowingText()
    job, job_id = accepted.job, accepted.job.id
    # The client learns at once that its upload was accepted.
    yield PING
    try:
        async with service.waiters.waiting(job_id, is_ours=accepted.lives_by_waiting):
            async for change in follow(service, job_id):
                if change is None:
                    yield PING
                    continue
                job, first, windows = change
                if first == 0:
                    text.begin_again()
                for event in deltas(text.add(segments_of(windows))):
                    yield event
        require_succeeded(job)
        transcript = await run_in_threadpool(service.jobs.transcript, job_id)
    except SttError as error:
        service.metrics.count_error(error.code)
        yield as_event(error)
        return
    for event in deltas(text.complete(transcript.text)):
        yield event
    yield done(transcript)


class GrowingText:
    """The text so far; gives out each part of it once."""

    def __init__(self) -> None:
        """Start empty."""
        self._raw = ""
        self._sent = ""

    def add(self, segments: Iterable[Segment]) -> str:
        """Append segments; return what is new, without space at either end of the whole."""
        self._raw += "".join(segment.text for segment in segments)
        return self._advance(self._raw.strip())

    def begin_again(self) -> None:
        """Forget the segments, not what was given out: the job starts anew on another model."""
        self._raw = ""

    def complete(self, text: str) -> str:
        """Return what the whole text has beyond what was given out."""
        return self._advance(text)

    def _advance(self, text: str) -> str:
        if not text.startswith(self._sent):
            # Another model wrote something else: its whole text stands in the last event.
            return ""
        new = text[len(self._sent) :]
        self._sent = text
        return new


def segments_of(windows: Iterable[WindowResult]) -> list[Segment]:
    """Return the segments of windows, in order."""
    return [segment for window in windows for segment in window.segments]


def deltas(new: str) -> list[str]:
    """Return the event for new text, if there is any."""
    return [_event({"type": "transcript.text.delta", "delta": new})] if new else []


def done(transcript: Transcript) -> str:
    """Return the last event, with the whole text.

    Its usage is counted in tokens: OpenAI's schema has no other kind here, and typed clients such
    as async-openai for Rust cannot read the event without one.
    """
    languages = [{"code": transcript.language}] if transcript.text else []
    heard = round(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    written = sum(len(segment.tokens) for segment in transcript.segments)
    counts = {"input_tokens": heard, "output_tokens": written, "total_tokens": heard + written}
    return _event(
        {
            "type": "transcript.text.done",
            "text": transcript.text,
            "languages": languages,
            "usage": {"type": "tokens", **counts},
        }
    )


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
