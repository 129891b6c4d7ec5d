"""How jobs, windows and transcripts lie in Redis: key names and the two encodings.

Text is kept as zlib-compressed JSON in the queue's own Redis: a few hundred kilobytes for hours of
speech, and there it is fenced, expired and deleted in the same atomic step as its job. Audio never
goes here.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from services.contract.redis_client import text
from services.contract.schema import Job, Message, TranscriptionOptions

AnyMessage = TypeVar("AnyMessage", bound=Message)
NESTED = ("audio", "options", "error")


@dataclass(frozen=True)
class QueueEntry:
    """What RQ keeps of a waiting job; written in the same step as our record of it."""

    lanes_key: str
    """Set of all queues."""
    lane_key: str
    """List of the ids that wait."""
    record_key: str
    """Hash with RQ's own record."""
    fields: list[str | bytes]
    """Field, value, ... of that hash."""

    def arguments(self) -> list[str | bytes | float]:
        """Return what the script that creates jobs takes."""
        keys = [self.lanes_key, self.lane_key, self.record_key]
        return [*keys, len(self.fields), *self.fields]


#: A record without a place in the queue.
NO_ENTRY = QueueEntry("", "", "", [])


def job_key(job_id: str) -> str:
    """Name the hash with the record of a job."""
    return f"stt:job:{job_id}"


def windows_key(job_id: str) -> str:
    """Name the hash with the finished windows of a job."""
    return f"stt:windows:{job_id}"


def transcript_key(job_id: str) -> str:
    """Name the transcript of a job."""
    return f"stt:transcript:{job_id}"


def owner_scope(owner: str) -> str:
    """Name the set of all jobs of an owner."""
    return f"owner:{quote(owner, safe='')}"


def batch_scope(owner: str, batch: str) -> str:
    """Name the set of all jobs of a batch."""
    return f"batch:{quote(owner, safe='')}:{quote(batch, safe='')}"


def attach_key(owner: str, sha256: str, options: TranscriptionOptions) -> str:
    """Name the pointer to the newest job with the same owner, audio and options."""
    wanted = json.dumps([owner, sha256, options.model_dump(mode="json")], sort_keys=True)
    return f"stt:attach:{hashlib.sha256(wanted.encode()).hexdigest()}"


def claim_key(owner: str, key: str) -> str:
    """Name what an Idempotency-Key stands for; the client's own words are hashed."""
    named = json.dumps([owner, key])
    return f"stt:claim:{hashlib.sha256(named.encode()).hexdigest()}"


def microseconds(moment: datetime) -> int:
    """Return a time as whole microseconds since 1970: exact in a sorted set's double."""
    return round(moment.timestamp() * 1_000_000)


def to_arguments(job: Job) -> list[str]:
    """Encode a job as field, value, ... of its hash, with those that only the scripts read."""
    plain = job.model_dump(mode="json", exclude_none=True)
    fields = {k: json.dumps(v) if k in NESTED else str(v) for k, v in plain.items()}
    scopes = ["all", owner_scope(job.owner)]
    if job.batch is not None:
        scopes.append(batch_scope(job.owner, job.batch))
    fields |= {
        "scopes": "\n".join(scopes),
        "created_us": str(microseconds(job.created_at)),
        "audio_ms": str(round(job.audio.duration * 1000)),
    }
    return [part for pair in fields.items() for part in pair]


def from_fields(fields: Mapping[bytes | str, bytes | str]) -> Job:
    """Decode the hash of a job."""
    known = {text(k): text(v) for k, v in fields.items()}
    chosen = {k: v for k, v in known.items() if k in Job.model_fields}
    return Job.model_validate({k: json.loads(v) if k in NESTED else v for k, v in chosen.items()})


def from_reply(reply: list[bytes]) -> Job:
    """Decode the flat list of fields and values that a script returns."""
    return from_fields(dict(zip(reply[::2], reply[1::2], strict=True)))


def pack(message: Message) -> bytes:
    """Encode a window or a transcript."""
    return zlib.compress(message.model_dump_json(exclude_defaults=True).encode(), 6)


def unpack(kind: type[AnyMessage], packed: bytes | str) -> AnyMessage:
    """Decode what `pack` made."""
    if isinstance(packed, str):
        raise TypeError("the Redis client must not decode replies")
    return kind.model_validate_json(zlib.decompress(packed))
