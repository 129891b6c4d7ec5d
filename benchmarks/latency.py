"""What HTTP, queue and worker cost one short clip on an idle system.

    python -m benchmarks.latency [--model demo] [--rounds 40]

A 5 s clip is sent to POST /v1/audio/transcriptions and, in turn, given to the same engine in this
process. Each try has other bytes, so that no earlier job answers it.
"""

import argparse
import io
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clips import of_length, speak
from benchmarks.processes import multipart, request_head, require_success, stack
from services.contract.model_registry import served
from services.contract.schema import TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.served_models import batch_limits
from services.worker.transcriber import Transcriber

TARGET_MS = 25.0
ROUTE = "/v1/audio/transcriptions"
OPTIONS = TranscriptionOptions(language="sv")
WARM_UP = 5


def main() -> int:
    """Measure and print; exit code 1 if the target is missed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", 12)
        settings = WorkerSettings(model=options.model, models_dir=folder / "models")
        bundle = served(settings.model, settings.models_dir)
        model, costs = load(bundle, settings)
        engine = Engine(model, batch_limits(settings, model.device), costs)
        direct_s, http_s = [], []
        with stack(folder, options.model, {}) as api:
            for number in range(options.rounds + WARM_UP):
                clip = of_length(clips, options.seconds, number)
                direct_s.append(timed_direct(Transcriber(engine), clip))
                http_s.append(timed_http(api.port, clip))
        engine.close()
    return report(bundle.id, direct_s[WARM_UP:], http_s[WARM_UP:])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--rounds", type=int, default=40, help="tries of each kind")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the clip")
    return parser.parse_args()


def timed_direct(transcriber: Transcriber, clip: bytes) -> float:
    """Return the seconds that the engine takes in this process."""
    began = time.perf_counter()
    transcriber.transcribe(io.BytesIO(clip), OPTIONS)
    return time.perf_counter() - began


def timed_http(port: int, clip: bytes) -> float:
    """Return the seconds from the request's first byte to the answer's last."""
    body = multipart(clip)
    message = request_head(ROUTE, len(body)) + body
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        connection.sendall(message)
        require_success(connection)
        return time.perf_counter() - began


def report(bundle: str, direct_s: list[float], http_s: list[float]) -> int:
    """Print medians and the difference."""
    direct_ms, http_ms = (1000 * statistics.median(times) for times in (direct_s, http_s))
    paired_ms = 1000 * statistics.median(h - d for h, d in zip(http_s, direct_s, strict=True))
    print(f"one clip on an idle system, {bundle}, median of {len(http_s)}:")
    print(f"  engine call in process  {direct_ms:7.1f} ms")
    print(f"  HTTP request to text    {http_ms:7.1f} ms")
    print(f"  difference              {paired_ms:7.1f} ms   target at most {TARGET_MS:.0f} ms")
    return 0 if paired_ms <= TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
