"""The encoder on a processor: a batch of windows in one call, against one call for each window.

    python -m benchmarks.encoder [--size base] [--threads 1]

Prints processor milliseconds per window, which other work on the machine changes little, for
several context lengths and batch sizes. Weights are random and int8; the encoder does not care. It
is why `Model.encode` takes windows one by one on a processor.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import ctranslate2
import numpy as np

from benchmarks.evaluate_throughput import SENTENCE, SIZES, model_size
from tests.tiny_model import scripted_checkpoint
from training.convert.weights import write_weights

CONTEXTS = (300, 600, 1000, 3000)
BATCHES = (1, 4, 8)
N_MELS = 80
ROUNDS = 3


def main() -> int:
    """Measure and print; exit code 1 if batches are faster after all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--threads", type=int, default=1, help="of one call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = scripted_checkpoint(
            Path(scratch) / "model", model_size(options.size), SENTENCE
        )
        write_weights(checkpoint, Path(scratch) / "int8", "int8")
        model = ctranslate2.models.Whisper(
            str(Path(scratch) / "int8"), compute_type="int8", intra_threads=options.threads
        )
        return report(model, options.size)


def report(model: ctranslate2.models.Whisper, size: str) -> int:
    """Print the table; 1 if the largest batches are faster in sum than single windows."""
    print(f"{size} size, int8, processor ms per window")
    print("  context  " + "".join(f"batch of {n_windows}   " for n_windows in BATCHES))
    totals = dict.fromkeys(BATCHES, 0.0)
    for context in CONTEXTS:
        times = {n_windows: cpu_ms(model, context, n_windows) for n_windows in BATCHES}
        for n_windows, each in times.items():
            totals[n_windows] += each / times[1]
        print(f"  {context:7d}  " + "".join(f"{times[n]:10.1f}   " for n in BATCHES), flush=True)
    ratio = totals[BATCHES[-1]] / totals[1]
    print(f"a window in a batch of {BATCHES[-1]} costs {ratio:.2f}x a single one, on average")
    return 0 if ratio >= 1 else 1


def cpu_ms(model: ctranslate2.models.Whisper, context: int, n_windows: int) -> float:
    """Return the least processor time of one window in a batch, of several rounds."""
    windows = np.random.default_rng(0).normal(0, 1, (n_windows, N_MELS, context))
    features = ctranslate2.StorageView.from_array(windows.astype(np.float32))
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        np.array(model.encode(features))
        times.append(time.process_time() - began)
    return 1000 * min(times) / n_windows


if __name__ == "__main__":
    sys.exit(main())
