"""Many short clips from many callers, beside a plain faster-whisper loop over the same files.

    python -m benchmarks.http_throughput [--model demo] [--clips 64] [--clients 16] [--seed 20]
                                         [--gpu]

One run, one model, the same cores: first faster-whisper in this process, one file after the other
at beam 5; then the same files over HTTP to a stack of Redis, API and one worker, with short context
and without it. Word error rates are on normalised text. One word in 64 clips is 0.3 points, and
other clips give other words: so the difference comes with its 95 % interval over resampled clips,
and the service is called worse when all of that lies above 0.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from faster_whisper import WhisperModel

from benchmarks.clips import Clip, speak
from benchmarks.peer import peer_model
from benchmarks.processes import stack
from services.contract.model_registry import served
from training.evaluate.bootstrap import Interval, difference_interval
from training.evaluate.metrics import ErrorCounts, count_words, total
from training.evaluate.normalise import normalise

ROUTE = "/v1/audio/transcriptions"
FIELDS = {"language": "sv", "temperature": "0"}
#: Name of a run -> (value of STT_SHORT_CONTEXT, times the plain loop's speed that it must reach).
RUNS = {"short context": ("true", 4.0), "full context": ("false", 1.3)}


@dataclass(frozen=True)
class Result:
    """One run over all clips."""

    seconds: float
    words: list[ErrorCounts]
    """Of each clip."""

    @property
    def wer(self) -> float:
        """The word error rate over all clips, as a share."""
        return total(self.words).rate


def main() -> int:
    """Measure and print; exit code 1 if a target is missed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", options.clips, options.seed)
        bundle = served(options.model, folder / "models")
        total_s = sum(clip.duration for clip in clips)
        print(f"{len(clips)} clips, {total_s:.0f} s, {bundle.id}, {options.clients} clients")
        device = "cuda" if options.gpu else "cpu"
        plain = plain_loop(bundle.path, device, clips)
        print(row("faster-whisper loop", plain, plain, total_s), flush=True)
        missed = 0
        for run, (short_context, wanted) in RUNS.items():
            (folder / run).mkdir()
            settings = {"STT_SHORT_CONTEXT": short_context, "STT_DEVICE": device}
            result = over_http(folder / run, options.model, settings, clips, options.clients)
            worse = difference_interval(result.words, plain.words)
            print(row(f"HTTP, {run}", result, plain, total_s), points(worse), f"  target {wanted}x")
            missed += plain.seconds / result.seconds < wanted or worse.low > 0
    return 1 if missed else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20, help="chooses the sentences and voices")
    parser.add_argument("--gpu", action="store_true", help="both on the GPU, in float16")
    return parser.parse_args()


def plain_loop(bundle: Path, device: str, clips: Sequence[Clip]) -> Result:
    """Transcribe one file after the other with faster-whisper as it comes."""
    model = peer_model(bundle, device)
    hear(model, clips[0])
    began = time.perf_counter()
    texts = [hear(model, clip) for clip in clips]
    return Result(time.perf_counter() - began, words(clips, texts))


def hear(model: WhisperModel, clip: Clip) -> str:
    """Return the text of one clip."""
    segments, _ = model.transcribe(str(clip.path), language="sv", beam_size=5)
    return "".join(segment.text for segment in segments).strip()


def over_http(
    folder: Path, model: str, settings: dict[str, str], clips: Sequence[Clip], n_clients: int
) -> Result:
    """Send all clips to a fresh stack, so many at once."""
    with stack(folder, model, settings) as api:
        return asyncio.run(send_all(api.port, clips, n_clients))


async def send_all(port: int, clips: Sequence[Clip], n_clients: int) -> Result:
    """Let clients take clips until there are none left."""
    texts = [""] * len(clips)
    waiting = iter(range(len(clips)))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=600) as http:

        async def work() -> None:
            for place in waiting:
                texts[place] = await send(http, clips[place])

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(n_clients)))
        return Result(time.perf_counter() - began, words(clips, texts))


async def send(http: httpx.AsyncClient, clip: Clip) -> str:
    """Return the text of one clip."""
    files = {"file": (clip.path.name, clip.path.read_bytes(), "audio/wav")}
    answer = await http.post(ROUTE, data=FIELDS, files=files)
    answer.raise_for_status()
    return str(answer.json()["text"])


def words(clips: Sequence[Clip], texts: Sequence[str]) -> list[ErrorCounts]:
    """Count the wrong words of each clip."""
    pairs = zip(clips, texts, strict=True)
    return [count_words(normalise(clip.text), normalise(text)) for clip, text in pairs]


def points(difference: Interval) -> str:
    """Return how much the word error rate is above the loop's, in points, with its interval."""
    low, value, high = (100 * x for x in (difference.low, difference.value, difference.high))
    return f"  {value:+.2f} [{low:+.2f}, {high:+.2f}]"


def row(name: str, result: Result, plain: Result, total_s: float) -> str:
    """Return one line of the table."""
    return (
        f"  {name:22} {result.seconds:7.1f} s  real-time factor {result.seconds / total_s:6.3f}"
        f"  {plain.seconds / result.seconds:5.2f}x  WER {result.wer:6.2%}"
    )


if __name__ == "__main__":
    sys.exit(main())
