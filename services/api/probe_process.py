"""The process that looks at uploads with PyAV: `python -m services.api.probe_process`.

A hostile file can hang or crash a decoder, so this never runs inside the API process: it reads one
JSON request per line ({store, key, n_bytes}), answers one JSON line, and may be killed at any time.
Before that it says by a line each when it begins and ceases to wait for a bucket, so that nobody
blames the slowness of a bucket on a file.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeVar

import av
from av.error import FFmpegError

from services.api.probe import LOOKING, READING
from services.contract.audio_formats import best_stream, is_pause, longest_gap_s, open_audio
from services.contract.audio_store import AudioStore
from services.contract.errors import EmptyAudioError, SttError, UnsupportedAudioError
from services.contract.schema import Seconds

Result = TypeVar("Result")
# A file of a few kilobytes whose table says "the same, 100 million times" takes gigabytes, here and
# then in the worker. A film of 8K takes less than half of this, six hours of one a third.
MEMORY_BYTES = 512 * 1024**2
# Addresses alone cost nothing: the threads of a bucket's client reserve gigabytes of them.
ADDRESS_BYTES = 4 * 1024**3
# Up to this size every packet is counted, so that no header is believed; a larger file is only
# counted when it has no duration in its header, since it would have to be read as a whole.
COUNT_ALL_BYTES = 64 * 1024**2
# Broken data at the start of a stream is skipped this far, as a player would.
MAX_BAD_PACKETS = 50
# A packet that does not tell how long it lasts is taken to last this long at most.
MAX_PACKET_S = 1.0
FORMATS = "flac, mp3, mp4, mpeg, mpga, m4a, ogg, opus, wav, webm"


def main(requests: TextIO = sys.stdin, answers: TextIO = sys.stdout) -> None:
    """Answer requests until the input ends."""
    limit_memory()
    av.logging.set_level(av.logging.PANIC)
    for line in requests:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def limit_memory() -> None:
    """Bound this process, unless who started the API has set a lower limit."""
    for kind, bound in ((resource.RLIMIT_DATA, MEMORY_BYTES), (resource.RLIMIT_AS, ADDRESS_BYTES)):
        _, most = resource.getrlimit(kind)
        if most == resource.RLIM_INFINITY or most > bound:
            resource.setrlimit(kind, (bound, bound))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return {duration} or {code, message} for one upload."""
    store = AudioStore(request["store"])
    try:
        return {"duration": duration(store, request["key"], request["n_bytes"])}
    except SttError as error:
        return {"code": error.code, "message": error.message}
    except FFmpegError as error:
        return _unsupported(f"The file cannot be decoded as audio ({error.strerror}).")
    except (IndexError, ValueError, MemoryError, OverflowError):
        return _unsupported("The file cannot be decoded as audio.")


def duration(store: AudioStore, key: str, n_bytes: int) -> Seconds:
    """Return how long the audio stream of an upload is that a player would choose.

    Raises:
        UnsupportedAudioError: there is no audio stream, or it cannot be decoded.
        EmptyAudioError: the audio stream has no samples.
    """
    with _opened(store, key) as container:
        stream = best_stream(container)
        if stream is None:
            raise UnsupportedAudioError("The file has no audio stream.", param="file")
        _require_decodable(container, stream)
        stated = _stated(container, stream)
    if stated is not None and n_bytes > COUNT_ALL_BYTES:
        return stated
    with _opened(store, key) as container:
        return _counted(container, container.streams.best("audio"))


@contextmanager
def _opened(store: AudioStore, key: str) -> Iterator[Any]:
    path = store.local_path(key)
    if path is not None:
        with open_audio(str(path)) as container:
            yield container
        return
    with _waited(store.open, key, _waited) as file, open_audio(file) as container:
        yield container


def _waited(step: Callable[..., Result], *args: object) -> Result:
    """Call a step that waits for a bucket, and say so."""
    print(READING, flush=True)
    try:
        return step(*args)
    finally:
        print(LOOKING, flush=True)


def _require_decodable(container: Any, stream: Any) -> None:
    n_bad = 0
    for packet in container.demux(stream):
        try:
            if is_pause(stream.codec_context.name, packet.size) or packet.decode():
                return
        except FFmpegError:
            n_bad += 1
            if n_bad > MAX_BAD_PACKETS:
                break
    if n_bad:
        raise UnsupportedAudioError(
            f"The file's audio cannot be decoded; send one of {FORMATS}.", param="file"
        )
    raise EmptyAudioError("The recording has no samples.", param="file")


def _stated(container: Any, stream: Any) -> Seconds | None:
    """Return the duration that the headers state."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _counted(container: Any, stream: Any) -> Seconds:
    """Return how much audio the packets hold that can be read, gaps of silence included.

    A packet lasts until the next one begins, since its own duration may be rounded or missing; but
    where the clock jumps or stands still, its own duration counts. What the file itself says is not
    to be played, the second before the first picture of a cut film, does not count. PyAV ends with
    an IndexError if another track began on the way.
    """
    longest = max(MAX_PACKET_S, longest_gap_s(container.format.name))
    began, lasts, total = (container.start_time or 0) / av.time_base, 0.0, 0.0
    with suppress(FFmpegError, IndexError):
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None or packet.is_discard:
                continue
            start = float(packet.pts * packet.time_base)
            step = start - began
            total += step if 0 < step <= lasts + longest else lasts
            began, lasts = start, float((packet.duration or 0) * packet.time_base)
    return total + lasts


def _unsupported(reason: str) -> dict[str, Any]:
    return {"code": UnsupportedAudioError.code, "message": f"{reason} Send one of {FORMATS}."}


if __name__ == "__main__":
    main()
