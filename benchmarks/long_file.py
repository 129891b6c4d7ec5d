"""One long recording: our engine against faster-whisper's BatchedInferencePipeline, same cores.

    python -m benchmarks.long_file [--model demo] [--minutes 30] [--memory-hours 3]

Both with timestamps and beam 5. Prints seconds, processor seconds (which other work on the machine
changes little), the ratio, when the first segment came, word error rates, and how much memory the
longest recording adds to an idle engine. The pipeline decodes every window once, whatever comes of
it; the engine decodes suspicious ones again. So it is measured twice: doing the pipeline's work,
and as it serves, which is what the target is about.
"""

import argparse
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import BatchedInferencePipeline

from benchmarks.clips import RATE, Clip, speak
from benchmarks.peer import peer_model
from services.contract.model_bundle import ModelBundle
from services.contract.model_registry import served
from services.contract.schema import Lane, TranscriptionOptions, WindowResult
from services.contract.settings import WorkerSettings
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.served_models import batch_limits
from services.worker.transcriber import Hooks, Transcriber
from training.evaluate.metrics import word_error_rate
from training.evaluate.normalise import normalise

TARGET = 1.0
TARGET_MEMORY_MB = 300
OPTIONS = TranscriptionOptions(language="sv")
#: Nothing is suspicious: every window is decoded once, as the pipeline does.
ONCE = TranscriptionOptions(
    language="sv",
    compression_ratio_threshold=None,
    log_prob_threshold=None,
    no_speech_threshold=None,
)
PAUSE_S = 0.8


@dataclass(frozen=True)
class Measured:
    """How one way of transcribing went."""

    seconds: float
    cpu_s: float
    first_segment_s: float
    text: str
    n_again: int = 0
    """Windows that were decoded more than once."""


def main() -> int:
    """Measure and print; exit code 1 if a target is missed."""
    chosen = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", 120)
        bundle = served(chosen.model, folder / "models")
        spoken = write_long(folder / "long.wav", clips, 60 * chosen.minutes)
        print(f"{chosen.minutes:g} minutes, {bundle.id} on the CPU, timestamps on, beam 5")
        theirs = batched_pipeline(bundle, folder / "long.wav")
        print_row("BatchedInferencePipeline", theirs, spoken, "")
        engine = open_engine(bundle)
        for what, options in (
            ("engine, each window once", ONCE),
            ("engine, as it serves", OPTIONS),
        ):
            ours = our_engine(engine, folder / "long.wav", options)
            ratio = theirs.seconds / ours.seconds
            note = f"{ratio:.2f}x, {ours.n_again} windows again (target {TARGET}x)"
            print_row(what, ours, spoken, note)
        is_met = ratio >= TARGET
        if chosen.memory_hours:
            is_met &= memory_is_flat(engine, folder, clips, chosen.memory_hours)
        engine.close()
    return 0 if is_met else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--minutes", type=float, default=30, help="length of the recording")
    parser.add_argument(
        "--memory-hours", type=float, default=0, help="also watch memory for so long"
    )
    return parser.parse_args()


def write_long(path: Path, clips: list[Clip], seconds: float) -> str:
    """Join clips with pauses to a recording; return what is said in it."""
    words: list[str] = []
    n_samples = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for clip, samples in endless(clips):
            if n_samples >= seconds * RATE:
                return " ".join(words)
            file.writeframes(samples.tobytes())
            words.append(clip.text)
            n_samples += len(samples)
    raise AssertionError("the clips never end")


def endless(clips: list[Clip]) -> Iterator[tuple[Clip, np.ndarray]]:
    """Yield clips with a pause after each, over and over."""
    pause = np.zeros(round(PAUSE_S * RATE), "<i2")
    while True:
        for clip in clips:
            with wave.open(str(clip.path)) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            yield clip, np.concatenate([samples, pause])


def batched_pipeline(bundle: ModelBundle, path: Path) -> Measured:
    """Run faster-whisper's own batched mode with its defaults, but with timestamps."""
    pipeline = BatchedInferencePipeline(peer_model(bundle.path))
    began, cpu_began = time.perf_counter(), time.process_time()
    segments, _ = pipeline.transcribe(
        str(path), language="sv", beam_size=5, without_timestamps=False
    )
    texts, first_s = [], 0.0
    for segment in segments:
        first_s = first_s or time.perf_counter() - began
        texts.append(segment.text)
    cpu_s = time.process_time() - cpu_began
    return Measured(time.perf_counter() - began, cpu_s, first_s, "".join(texts))


def open_engine(bundle: ModelBundle) -> Engine:
    """Load the bundle as a worker does."""
    settings = WorkerSettings(device="cpu")
    model, costs = load(bundle, settings)
    return Engine(model, batch_limits(settings, model.device), costs)


def our_engine(engine: Engine, path: Path, options: TranscriptionOptions) -> Measured:
    """Run one job through the engine."""
    began, cpu_began = time.perf_counter(), time.process_time()
    arrivals: list[float] = []

    def note(_: WindowResult) -> None:
        arrivals.append(time.perf_counter() - began)

    transcript = Transcriber(engine).transcribe(
        path, options, lane=Lane.BULK, hooks=Hooks(on_window=note)
    )
    return Measured(
        seconds=time.perf_counter() - began,
        cpu_s=time.process_time() - cpu_began,
        first_segment_s=arrivals[0],
        text=transcript.text,
        n_again=transcript.quality.n_fallbacks,
    )


def memory_is_flat(engine: Engine, folder: Path, clips: list[Clip], hours: float) -> bool:
    """Transcribe a very long recording and compare the memory with what it was before."""
    path = folder / "very-long.wav"
    write_long(path, clips, 3600 * hours)
    before_mb, highest_mb = resident_mb(), 0.0

    def watch(_: WindowResult) -> None:
        nonlocal highest_mb
        highest_mb = max(highest_mb, resident_mb())

    Transcriber(engine).transcribe(path, OPTIONS, lane=Lane.BULK, hooks=Hooks(on_window=watch))
    added_mb = highest_mb - before_mb
    print(
        f"  {hours:g} hours add {added_mb:.0f} MB to {before_mb:.0f} MB "
        f"(target {TARGET_MEMORY_MB} MB)"
    )
    return added_mb < TARGET_MEMORY_MB


def resident_mb() -> float:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def print_row(what: str, measured: Measured, spoken: str, note: str) -> None:
    """Print one line of results."""
    wer = word_error_rate([normalise(spoken)], [normalise(measured.text)])
    print(
        f"  {what:26} {measured.seconds:7.1f} s ({measured.cpu_s:.1f} s CPU)  first segment after "
        f"{measured.first_segment_s:5.1f} s  WER {100 * wer:5.1f} %  {note}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
