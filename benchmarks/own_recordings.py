"""Word errors and processor time on recordings of your own: our engine beside faster-whisper.

    python -m benchmarks.own_recordings FOLDER [--model demo] [--language sv]

FOLDER holds recordings with what is said in a .txt of the same name. faster-whisper transcribes
each in all of its ways: its sequential loop, the same behind voice activity detection, and its
batched pipeline, each with timestamps and beam 5 on the same weights and cores. Texts are compared
without case and punctuation.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faster_whisper import BatchedInferencePipeline

from benchmarks.long_file import open_engine
from benchmarks.peer import peer_model
from services.contract.model_bundle import ModelBundle
from services.contract.model_registry import served
from services.contract.schema import TranscriptionOptions
from services.worker.transcriber import Transcriber
from training.evaluate.metrics import ErrorCounts, count_words
from training.evaluate.normalise import normalise

ENGINE, BATCHED = "engine", "batched"
Way = Callable[[Path], str]


@dataclass
class Result:
    """What one way made of all recordings."""

    words: ErrorCounts = field(default_factory=ErrorCounts)
    cpu_s: float = 0.0


def main() -> int:
    """Measure and print; exit code 1 if the engine makes more errors than the batched pipeline."""
    options = arguments()
    recordings = found(options.folder)
    if not recordings:
        print(f"error: no recording with a .txt beside it in {options.folder}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        bundle = served(options.model, Path(name))
        ways = all_ways(bundle, options.language)
        results = {way: Result() for way in ways}
        print("word errors of   words  " + "  ".join(f"{way:>14}" for way in ways))
        for path, text in recordings:
            measure(path, text, ways, results)
    for way, result in results.items():
        print(f"{way:14}  WER {result.words.rate:6.1%}   {result.cpu_s:8.1f} s of processor time")
    is_better = results[ENGINE].words.n_errors <= results[BATCHED].words.n_errors
    return 0 if is_better else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="recordings with a .txt beside each")
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--language", default="sv", help="what is spoken in all of them")
    return parser.parse_args()


def found(folder: Path) -> list[tuple[Path, str]]:
    """Return the recordings and what is said in them."""
    others = (path for path in sorted(folder.iterdir()) if path.suffix != ".txt")
    texts = ((path, path.with_suffix(".txt")) for path in others)
    return [(path, text.read_text(encoding="utf-8")) for path, text in texts if text.is_file()]


def all_ways(bundle: ModelBundle, language: str) -> Mapping[str, Way]:
    """Load the weights twice and return each way from a recording to its text."""
    transcriber = Transcriber(open_engine(bundle))
    peer = peer_model(bundle.path)
    batched = BatchedInferencePipeline(peer)
    options = TranscriptionOptions(language=language)

    def sequential(path: Path, *, vad: bool) -> str:
        segments, _ = peer.transcribe(str(path), language=language, vad_filter=vad)
        return "".join(segment.text for segment in segments)

    def in_batches(path: Path) -> str:
        segments, _ = batched.transcribe(str(path), language=language, without_timestamps=False)
        return "".join(segment.text for segment in segments)

    return {
        ENGINE: lambda path: transcriber.transcribe(path, options).text,
        "sequential": lambda path: sequential(path, vad=False),
        "sequential+vad": lambda path: sequential(path, vad=True),
        BATCHED: in_batches,
    }


def measure(path: Path, text: str, ways: Mapping[str, Way], results: Mapping[str, Result]) -> None:
    """Transcribe one recording in every way; add to the results and print a line."""
    line = []
    for name, way in ways.items():
        began = time.process_time()
        heard = way(path)
        results[name].cpu_s += time.process_time() - began
        words = count_words(normalise(text), normalise(heard))
        results[name].words += words
        line.append(f"{words.n_errors:>14}")
    print(f"{path.stem[:15]:15}  {words.n_reference:5}  {'  '.join(line)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
