"""A whisper-small on a GPU with 1, 16 and 64 jobs: how near serving comes to what the card can do.

    python -m benchmarks.gpu [--jobs 1 16 64] [--seconds 120] [--device cuda] [--size small]

Weights are random but for a table that makes the model say ten long sentences with their times, so
that a window of 30 s costs as many tokens as 30 s of speech do. The limit is what a large matrix
product reaches on the same device in the same run; a window's encoder is taken as the
multiplications and additions that it needs at least. faster-whisper's BatchedInferencePipeline
hears the same windows of the same recordings, one after the other: with timestamps, which give
segments as ours do, and as it comes, with one segment per window. Silence is not looked for:
nothing is known of where random weights believe that words end.
"""

import argparse
import math
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from faster_whisper import BatchedInferencePipeline

from benchmarks.clips import Clip, of_length, speak
from benchmarks.evaluate_throughput import SIZES, model_size
from benchmarks.peer import peer_model
from services.contract.encoder_context import FULL_CONTEXT_FRAMES
from services.contract.model_bundle import ModelBundle, read
from services.contract.model_sources import demo_directory
from services.contract.schema import Lane, TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.contract.window_shape import WindowShape
from services.worker.audio import decode
from services.worker.engine import Engine
from services.worker.model import Model
from services.worker.model_loader import load
from services.worker.served_models import batch_limits
from services.worker.transcriber import Transcriber
from services.worker.windows import cut_windows
from tests.tiny_model import scripted_checkpoint
from training.convert.weights import write_weights
from training.tokenizer import load_tokenizer

OPTIONS = TranscriptionOptions(language="sv", vad_filter=False)
N_MELS = 80
#: What a model writes of 30 s: about as many tokens as Whisper's vocabulary needs for Swedish.
N_SENTENCES, SENTENCE_WORDS, SENTENCE_S = 10, 10, 2.8
ENCODER_BATCHES = {"cuda": (1, 4, 16, 64), "cpu": (1, 4)}
ROUNDS = 5
#: Rows and columns of the matrices that show the limit, and the type that serving computes in.
MATRIX = {"cuda": (8192, torch.float16), "cpu": (2048, torch.float32)}


@dataclass(frozen=True)
class Limit:
    """What the device can do, and what the encoder needs of it for one window."""

    flops: float
    """Floating point operations per second of a large matrix product."""
    window_flops: float

    def share(self, windows_per_s: float) -> float:
        """Return how much of the device's speed so many encoded windows per second need."""
        return windows_per_s * self.window_flops / self.flops


def main() -> None:
    """Measure and print."""
    chosen = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = recordings(folder / "clips", max(chosen.jobs), chosen.seconds)
        bundle = random_bundle(folder / "model", chosen.size)
        settings = WorkerSettings(device=chosen.device, max_batch_windows=chosen.batch)
        model, costs = load(bundle, settings)
        limit = Limit(matrix_flops(model.device), encoder_flops(chosen.size))
        print(
            f"{chosen.size} size, {model.compute_type} on {device_name(model.device)}; "
            f"matrix product {limit.flops / 1e12:.1f} TFLOP/s, "
            f"a window's encoder {limit.window_flops / 1e9:.0f} GFLOP"
        )
        print_encoder(model, limit)
        engine = Engine(model, batch_limits(settings, model.device), costs)
        ours = [serve(engine, clips[:n_jobs], limit) for n_jobs in chosen.jobs]
        engine.close()
        theirs = peer_speeds(bundle, model.device, clips[:16])
        for way, speed in theirs.items():
            print(f"  faster-whisper's pipeline, batches of 16, {way}: {speed:.0f} times real time")
        for n_jobs, speed in zip(chosen.jobs, ours, strict=True):
            ratios = ", ".join(f"{speed / their:.1f}x {way}" for way, their in theirs.items())
            print(f"  ours with {n_jobs} jobs: {ratios}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 16, 64], help="in flight")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each recording")
    parser.add_argument("--device", choices=tuple(MATRIX), default="cuda")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--batch", type=int, default=16, help="as STT_MAX_BATCH_WINDOWS")
    return parser.parse_args()


def recordings(folder: Path, n_recordings: int, seconds: float) -> list[Clip]:
    """Join spoken sentences to recordings of one length, each different."""
    sentences = speak(folder, 64)
    found = []
    for number in range(n_recordings):
        path = folder / f"recording-{number}.wav"
        path.write_bytes(of_length(sentences, seconds, number))
        found.append(Clip(path, "", seconds))
    return found


def random_bundle(folder: Path, size: str) -> ModelBundle:
    """Make a model that says as much as a speaker does in 30 s, whatever it hears."""
    text, end_s = long_text(), N_SENTENCES * SENTENCE_S
    scripted_checkpoint(folder / "checkpoint", model_size(size), text, end_s=end_s)
    write_weights(folder / "checkpoint", folder / "bundle", "float16")
    return read(folder / "bundle")


def long_text() -> str:
    """Return sentences of words of one token each, none twice, with a time between them."""
    tokenizer = load_tokenizer(str(demo_directory()))
    tokens = (tokenizer.convert_ids_to_tokens(number) for number in range(tokenizer.vocab_size))
    words = [token[1:] for token in tokens if re.fullmatch("Ġ[a-z]{4,}", token)]
    sentences = (" ".join(words[n::N_SENTENCES][:SENTENCE_WORDS]) for n in range(N_SENTENCES))
    times = (n * SENTENCE_S for n in range(1, N_SENTENCES))
    between = [f"<|{time:.2f}|><|{time + 0.02:.2f}|> " for time in times]
    return "".join(map("".join, zip(sentences, [*between, ""], strict=True)))


def matrix_flops(device: str) -> float:
    """Return the operations per second of a large product of random matrices, at best."""
    n, dtype = MATRIX[device]
    left, right = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    seconds = min(elapsed(lambda: torch.matmul(left, right), device) for _ in range(2 * ROUNDS))
    return 2 * n**3 / seconds


def encoder_flops(size: str) -> float:
    """Return the operations of the encoder for one window of 30 s.

    Two convolutions, then per layer four projections, a feed-forward of four times the width, and
    attention of every position to every other. Source: openai/whisper model.py, AudioEncoder.
    """
    width, n_layers, _ = SIZES[size]
    n = FULL_CONTEXT_FRAMES // 2
    convolutions = 2 * 3 * width * (FULL_CONTEXT_FRAMES * N_MELS + n * width)
    return convolutions + n_layers * (24 * n * width**2 + 4 * n**2 * width)


def print_encoder(model: Model, limit: Limit) -> None:
    """Print the encoder alone, by size of the batch."""
    for n_windows in ENCODER_BATCHES[model.device]:
        shape = (n_windows, N_MELS, FULL_CONTEXT_FRAMES)
        features = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
        encode = partial(model.encode, features)
        encode()
        seconds = min(elapsed(encode, model.device) for _ in range(ROUNDS))
        print(
            f"  encoder, batch of {n_windows:2}: {1000 * seconds / n_windows:6.2f} ms per window, "
            f"{limit.share(n_windows / seconds):.0%} of the limit",
            flush=True,
        )


def elapsed(work: Callable[[], object], device: str) -> float:
    """Return the seconds until the device is through with it."""
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def device_name(device: str) -> str:
    """Return what the device calls itself."""
    return torch.cuda.get_device_name() if device == "cuda" else "this processor"


def serve(engine: Engine, clips: Sequence[Clip], limit: Limit) -> float:
    """Print one line on all clips in flight at once; return how many times real time they are."""
    transcriber = Transcriber(engine)
    before, statistics = replace(engine.statistics), engine.statistics

    def hear(clip: Clip) -> None:
        transcriber.transcribe(clip.path, OPTIONS, job=clip.path.name, lane=Lane.BULK)

    began = time.perf_counter()
    with ThreadPoolExecutor(len(clips)) as pool:
        list(pool.map(hear, clips))
    seconds = time.perf_counter() - began
    n_windows = statistics.n_windows - before.n_windows
    fill = n_windows / (statistics.n_batches - before.n_batches)
    speed = sum(clip.duration for clip in clips) / seconds
    print(
        f"  {len(clips):2} jobs: {seconds:6.1f} s, real-time factor {1 / speed:.5f} "
        f"({speed:.0f} times real time), {fill:4.1f} windows per batch, "
        f"engine busy {(statistics.busy_s - before.busy_s) / seconds:.0%}, "
        f"encoder {limit.share(n_windows / seconds):.1%} of the limit",
        flush=True,
    )
    return speed


def peer_speeds(bundle: ModelBundle, device: str, clips: Sequence[Clip]) -> dict[str, float]:
    """Return how many times real time faster-whisper's pipeline is on them in turn."""
    pipeline = BatchedInferencePipeline(peer_model(bundle.path, device))

    def hear(clip: Clip, *, timestamps: bool) -> None:
        windows = cut_windows(decode(clip.path, max_duration_s=math.inf), OPTIONS, WindowShape())
        segments, _ = pipeline.transcribe(
            str(clip.path),
            language="sv",
            beam_size=5,
            batch_size=16,
            vad_filter=False,
            clip_timestamps=[{"start": each.start, "end": each.end} for each in windows],
            without_timestamps=not timestamps,
        )
        list(segments)

    def speed(*, timestamps: bool) -> float:
        hear(clips[0], timestamps=timestamps)
        began = time.perf_counter()
        for clip in clips:
            hear(clip, timestamps=timestamps)
        return sum(clip.duration for clip in clips) / (time.perf_counter() - began)

    return {
        "with timestamps": speed(timestamps=True),
        "as it comes": speed(timestamps=False),
    }


if __name__ == "__main__":
    main()
