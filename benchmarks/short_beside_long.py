"""How long a short clip waits for its text while one long recording is being transcribed.

    python -m benchmarks.short_beside_long [--model demo] [--minutes 60] [--rounds 40]

The clip is sent to POST /v1/audio/transcriptions, first on the idle stack, then while the long
recording runs as a job of POST /v1/jobs. It may wait for the batch that is under way and for one
window, no longer. Each try has other bytes, so that no earlier job answers it.
"""

import argparse
import http.client
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clips import of_length, speak
from benchmarks.latency import timed_http
from benchmarks.long_file import write_long
from benchmarks.processes import Server, stack
from services.contract.model_registry import served

WARM_UP = 3
N_WINDOW_TRIES = 5
START_TIMEOUT_S = 600.0


def main() -> int:
    """Measure and print; exit code 1 if the target is missed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", 40)
        write_long(folder / "long.wav", clips, 60 * options.minutes)
        numbers = iter(range(10_000))
        longest_s = served(options.model, folder / "models").window_s
        budget = {"STT_BATCH_BUDGET_S": str(options.budget)}
        with stack(folder, options.model, budget) as api:

            def tries(n_tries: int, seconds: float) -> list[float]:
                sent = (of_length(clips, seconds, next(numbers)) for _ in range(n_tries))
                return [timed_http(api.port, clip) for clip in sent]

            tries(WARM_UP, options.seconds)
            idle_s = statistics.median(tries(options.rounds, options.seconds))
            window_s = statistics.median(tries(N_WINDOW_TRIES, longest_s))
            job_id = start_long(api, folder / "long.wav")
            beside_s = tries(options.rounds, options.seconds)
            share = require_running(api, job_id)
    print(f"a {options.seconds:g} s clip beside {options.minutes:g} minutes, {options.model}:")
    return report(beside_s, idle_s, idle_s + options.budget + window_s, window_s, share)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--minutes", type=float, default=60, help="length of the long recording")
    parser.add_argument("--rounds", type=int, default=40, help="clips of each kind")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a clip")
    parser.add_argument("--budget", type=float, default=0.5, help="STT_BATCH_BUDGET_S")
    return parser.parse_args()


def start_long(api: Server, path: Path) -> str:
    """Send the long recording; return its job once its first window is finished."""
    body, headers = path.read_bytes(), {"Content-Type": "audio/wav"}
    job_id: str = asked(api, "POST", "/v1/jobs?language=sv", body, headers)["id"]
    deadline = time.monotonic() + START_TIMEOUT_S
    while asked(api, "GET", f"/v1/jobs/{job_id}")["n_windows"] == 0:
        if time.monotonic() > deadline:
            raise RuntimeError("the long recording did not start")
        time.sleep(0.1)
    return job_id


def require_running(api: Server, job_id: str) -> float:
    """Return the share of the long recording that is done: it must be under way still."""
    job = asked(api, "GET", f"/v1/jobs/{job_id}")
    if job["status"] != "processing":
        raise RuntimeError(f"the long recording {job['status']} too early; give it more --minutes")
    return float(job["progress"])


def asked(
    api: Server, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Send one request; return the JSON of its answer, which must be 2xx."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
    connection.request(method, path, body or None, headers or {})
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    connection.close()
    if not 200 <= response.status < 300:
        raise RuntimeError(str(answer))
    return answer


def report(
    beside_s: list[float], idle_s: float, target_s: float, window_s: float, share: float
) -> int:
    """Print the figures; return 1 if the target is missed."""
    p95_s = sorted(beside_s)[math.ceil(0.95 * len(beside_s)) - 1]
    print(f"  on the idle stack, median of {len(beside_s):<3}   {idle_s:7.3f} s")
    print(f"  a clip of one window, median of {N_WINDOW_TRIES} {window_s:7.3f} s")
    print(f"  beside the long one, median       {statistics.median(beside_s):7.3f} s")
    print(f"  beside the long one, p95          {p95_s:7.3f} s   target at most {target_s:.3f} s")
    print(f"  {share:.0%} of the long one was done at the end")
    return 0 if p95_s <= target_s else 1


if __name__ == "__main__":
    sys.exit(main())
