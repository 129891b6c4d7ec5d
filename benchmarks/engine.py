"""Many short clips: our engine against a plain faster-whisper loop, same bundle, same cores.

    python -m benchmarks.engine [--model demo] [--clips 64] [--clients 16] [--gpu]

Prints clips per second of both, the ratio, batch fill, real-time factor and word error rates.
With short context if the bundle allows it, and without. HTTP and queue are left out here;
benchmarks/http_throughput.py has them.
"""

import argparse
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clips import Clip, speak
from benchmarks.peer import peer_model
from services.contract.model_bundle import ModelBundle
from services.contract.model_registry import served
from services.contract.schema import TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.served_models import batch_limits
from services.worker.transcriber import Transcriber
from training.evaluate.metrics import word_error_rate
from training.evaluate.normalise import normalise

TARGETS = {True: 4.0, False: 1.3}
OPTIONS = TranscriptionOptions(language="sv")


def main() -> int:
    """Measure and print; exit code 1 if a target is missed."""
    chosen = arguments()
    device = "cuda" if chosen.gpu else "cpu"
    is_met = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", chosen.clips)
        bundle = served(chosen.model, folder / "models")
        plain_s, plain_texts = plain_loop(bundle, device, clips)
        audio_s = sum(clip.duration for clip in clips)
        print(f"{len(clips)} clips, {audio_s:.0f} s of speech, {bundle.id} on {device}")
        print_row("faster-whisper loop", plain_s, clips, plain_texts, "")
        for short in (True, False) if bundle.short_context else (False,):
            settings = WorkerSettings(device=device, short_context=short)
            seconds, texts, fill = our_engine(bundle, settings, clips, chosen.clients)
            ratio = plain_s / seconds
            is_met &= ratio >= TARGETS[short]
            note = f"{ratio:.2f}x (target {TARGETS[short]}x), {fill:.1f} windows per batch"
            print_row("engine, short context" if short else "engine", seconds, clips, texts, note)
    return 0 if is_met else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--clips", type=int, default=64, help="different clips of 2 to 10 s")
    parser.add_argument("--clients", type=int, default=16, help="clips in flight at once")
    parser.add_argument("--gpu", action="store_true", help="measure on the GPU")
    return parser.parse_args()


def plain_loop(bundle: ModelBundle, device: str, clips: list[Clip]) -> tuple[float, list[str]]:
    """Transcribe one clip after the other as faster-whisper's README does, at beam 5."""
    model = peer_model(bundle.path, device)

    def one(clip: Clip) -> str:
        segments, _ = model.transcribe(str(clip.path), language="sv", beam_size=5)
        return "".join(segment.text for segment in segments)

    return timed(one, clips, n_threads=1)


def our_engine(
    bundle: ModelBundle, settings: WorkerSettings, clips: list[Clip], n_clients: int
) -> tuple[float, list[str], float]:
    """Transcribe with so many clips in flight; return seconds, texts and windows per batch."""
    model, costs = load(bundle, settings)
    engine = Engine(model, batch_limits(settings, model.device), costs)
    transcriber = Transcriber(engine)

    def one(clip: Clip) -> str:
        return transcriber.transcribe(clip.path, OPTIONS, job=clip.path.name).text

    seconds, texts = timed(one, clips, n_threads=n_clients)
    engine.close()
    return seconds, texts, engine.statistics.mean_fill


def timed(
    one: Callable[[Clip], str], clips: list[Clip], *, n_threads: int
) -> tuple[float, list[str]]:
    """Run all clips through, each thread one after the other, after one clip to warm up."""
    one(clips[0])
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(clips)):
        waiting.put(index)
    texts = [""] * len(clips)

    def client() -> None:
        try:
            while True:
                index = waiting.get_nowait()
                texts[index] = one(clips[index])
        except queue.Empty:
            return

    threads = [threading.Thread(target=client) for _ in range(n_threads)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, texts


def print_row(what: str, seconds: float, clips: list[Clip], texts: list[str], note: str) -> None:
    """Print one line of results."""
    references = [normalise(clip.text) for clip in clips]
    wer = word_error_rate(references, [normalise(text) for text in texts])
    factor = seconds / sum(clip.duration for clip in clips)
    print(
        f"  {what:22} {len(clips) / seconds:6.2f} clips/s  "
        f"real-time factor {factor:.3f}  WER {100 * wer:5.1f} %  {note}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
