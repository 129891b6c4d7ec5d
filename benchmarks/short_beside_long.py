"""How much longer a short clip waits for its text while one long recording is being transcribed.

    python -m benchmarks.short_beside_long [--model demo] [--minutes 60] [--rounds 40]

Clips are sent to POST /v1/audio/transcriptions, first on the idle stack, then, the same ones, while
the long recording runs as a job of POST /v1/jobs. Each may wait for the batch that is under way and
for one window more than on the idle stack, no longer. Clips differ much among themselves (doubtful
ones are read twice), so each is compared with itself. Each try has other bytes, so that no earlier
job answers it.
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
        clips = speak(folder / "clips", options.rounds)
        write_long(folder / "long.wav", clips, 60 * options.minutes)
        longest_s = served(options.model, folder / "models").window_s
        budget = {"STT_BATCH_BUDGET_S": str(options.budget)}
        with stack(folder, options.model, budget) as api:

            def timed(turn: int, n_clips: int, seconds: float) -> list[float]:
                """Send the first clips; other turns are the same sounds in other bytes."""
                numbers = range(turn * len(clips), turn * len(clips) + n_clips)
                return [timed_http(api.port, of_length(clips, seconds, n)) for n in numbers]

            timed(0, WARM_UP, options.seconds)
            idle_s = timed(1, len(clips), options.seconds)
            window_s = statistics.median(timed(2, N_WINDOW_TRIES, longest_s))
            job_id = start_long(api, folder / "long.wav")
            beside_s = timed(3, len(clips), options.seconds)
            share = require_running(api, job_id)
    print(f"{len(clips)} clips of {options.seconds:g} s, {options.model}:")
    status = report(idle_s, beside_s, options.budget, window_s)
    print(f"  {share:.0%} of the {options.minutes:g} minutes beside them was done at the end")
    return status


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help="as STT_MODEL")
    parser.add_argument("--minutes", type=float, default=60, help="length of the long recording")
    parser.add_argument("--rounds", type=int, default=40, help="number of clips")
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


def report(idle_s: list[float], beside_s: list[float], budget_s: float, window_s: float) -> int:
    """Print the figures; return 1 if the target is missed."""
    longer_s = [beside - idle for idle, beside in zip(idle_s, beside_s, strict=True)]
    target_s = budget_s + window_s
    print(f"  batch budget {budget_s:g} s, a clip of one window {window_s:.3f} s when idle")
    print("                                   median       p95")
    for what, times in (
        ("on the idle stack", idle_s),
        ("beside the long one", beside_s),
        ("longer than the same, idle", longer_s),
    ):
        print(f"  {what:28} {statistics.median(times):8.3f} s {p95(times):8.3f} s")
    print(f"  target: no more than {target_s:.3f} s longer (p95)")
    return 0 if p95(longer_s) <= target_s else 1


def p95(times: list[float]) -> float:
    """Return the time that 95 % do not exceed."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


if __name__ == "__main__":
    sys.exit(main())
