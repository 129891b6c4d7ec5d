"""Whether a stack that works for long keeps anything: requests of all kinds, and deploys.

    python -m benchmarks.soak [--minutes 10] [--clients 12] [--seed 1]

Recordings and transcripts live a minute, and every half minute another model is deployed. Prints
the memory, threads and open files of every process, and how many recordings lie in the store. The
memory must be as large at the end as it was half-way, but for a tenth, and every answer right.
"""

import argparse
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx
import psutil

from benchmarks.clips import Clip, of_length, speak
from benchmarks.processes import multipart, request_head, stack
from services.contract import model_registry
from services.contract.model_sources import demo_directory
from tests.worker.models import edit_manifest

TTL_S = 60
EVERY_S = 30.0
LENGTHS_S = (1.0, 2.0, 2.5)
PAGES = ("/", "/v1/models", "/v1/jobs", "/v1/batches/soak", "/metrics", "/openapi.json")
MOST_GROWTH = 1.1
#: By what stands in their command lines.
PROCESSES = {"redis": "redis-server", "api": "services.api", "worker": "services.worker"}

Send = Callable[[httpx.Client, bytes, random.Random], int]


def main() -> int:
    """Send, look, print; exit code 1 if something grew or an answer was wrong."""
    options = arguments()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = speak(folder / "clips", 24)
        lives = {"STT_AUDIO_TTL_S": str(TTL_S), "STT_TRANSCRIPT_TTL_S": str(TTL_S)}
        with stack(folder, "demo", lives | {"STT_MODEL_POLL_S": "1"}) as api:
            clients = Clients(api.port, clips)
            clients.start(options.clients, options.seed)
            n_deploys = max(2, round(60 * options.minutes / EVERY_S))
            seen = [deploy_and_look(folder, number) for number in range(n_deploys)]
            answers = clients.stop()
    print("answers:", ", ".join(f"{kind} {n}" for kind, n in sorted(answers.items())))
    return report(seen, answers)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=12, help="requests at once")
    parser.add_argument("--seed", type=int, default=1, help="of what is sent")
    return parser.parse_args()


class Clients:
    """Threads that send one request after the other, of all kinds."""

    def __init__(self, port: int, clips: list[Clip]) -> None:
        self._port = port
        self._clips = clips
        self._numbers = count()
        self._answers = Counter[str]()
        self._counting = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, n_clients: int, seed: int) -> None:
        """Begin."""
        for number in range(n_clients):
            thread = threading.Thread(target=self._send_all, args=(random.Random(seed + number),))
            self._threads.append(thread)
            thread.start()

    def stop(self) -> Counter[str]:
        """End with the requests under way; return how many of each kind had which answer."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return self._answers

    def _send_all(self, chosen: random.Random) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=120) as client:
            while not self._stopped.is_set():
                kind = chosen.choice(list(KINDS))
                recording = of_length(self._clips, chosen.choice(LENGTHS_S), next(self._numbers))
                try:
                    status = str(KINDS[kind](client, recording, chosen))
                except (httpx.HTTPError, OSError) as error:
                    status = type(error).__name__
                with self._counting:
                    self._answers[f"{kind} {status}"] += 1


def transcribe(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Wait for a transcript in some format."""
    form = {"response_format": chosen.choice(["json", "text", "srt", "vtt", "verbose_json"])}
    return client.post("/v1/audio/transcriptions", files=file(recording), data=form).status_code


def stream(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Read a transcript as it comes."""
    form = {"language": "sv", "stream": "true"}
    url = "/v1/audio/transcriptions"
    with client.stream("POST", url, files=file(recording), data=form) as answer:
        for _ in answer.iter_lines():
            pass
    return answer.status_code


def queue(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Leave a job to itself."""
    form = {"language": "sv", "batch": "soak"}
    return client.post("/v1/jobs", files=file(recording), data=form).status_code


def follow(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Read a job's events, or some of them."""
    job_id = client.post("/v1/jobs", files=file(recording)).json()["id"]
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        for _ in answer.iter_lines():
            if chosen.random() < 0.05:
                break
    return answer.status_code


def cancel(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Think better of a job."""
    job_id = client.post("/v1/jobs", files=file(recording)).json()["id"]
    return client.post(f"/v1/jobs/{job_id}/cancel").status_code


def delete(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Delete a job that waits or runs."""
    job_id = client.post("/v1/jobs", files=file(recording)).json()["id"]
    return client.delete(f"/v1/jobs/{job_id}").status_code


def look(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Read a page."""
    return client.get(chosen.choice(PAGES)).status_code


def send_garbage(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Send what is no recording."""
    form = {"file": ("a.mp3", chosen.randbytes(5000), "audio/mpeg")}
    return client.post("/v1/audio/transcriptions", files=form).status_code


def go_away(client: httpx.Client, recording: bytes, chosen: random.Random) -> int:
    """Break off in the middle of an upload."""
    body = multipart(recording)
    with socket.create_connection(("127.0.0.1", client.base_url.port or 80)) as connection:
        connection.sendall(request_head("/v1/audio/transcriptions", len(body)))
        connection.sendall(body[: chosen.randrange(len(body))])
    return 0


KINDS: dict[str, Send] = {
    each.__name__: each
    for each in (transcribe, stream, queue, follow, cancel, delete, look, send_garbage, go_away)
}
#: The status that each has to get, 200 where nothing is said. A job that is done cannot be
#: canceled, and before the first job there is no batch.
EXPECTED = {
    "queue": {"202"},
    "cancel": {"200", "409"},
    "look": {"200", "404"},
    "send_garbage": {"400"},
    "go_away": {"0"},
}


def file(recording: bytes) -> dict[str, tuple[str, bytes, str]]:
    """Return a form with the recording."""
    return {"file": ("a.wav", recording, "audio/wav")}


def deploy_and_look(folder: Path, number: int) -> dict[str, float]:
    """Deploy, wait, and return what is there then; print it."""
    newer = folder / "newer"
    shutil.copytree(demo_directory(), newer)
    edit_manifest(newer, name="soak", version=str(number))
    model_registry.deploy(str(newer), folder / "models")
    shutil.rmtree(newer)
    time.sleep(EVERY_S)
    found = sizes()
    found["recordings"] = sum(1 for _ in (folder / "audio").iterdir())
    shown = ", ".join(f"{what} {size:.0f}" for what, size in found.items())
    print(f"{EVERY_S * (number + 1):5.0f} s: {shown}", flush=True)
    return found


def sizes() -> dict[str, float]:
    """Return MB (its children's too), threads and open files of each of our processes."""
    children = {" ".join(child.cmdline()): child for child in psutil.Process().children()}
    found: dict[str, float] = {}
    for role, part in PROCESSES.items():
        process = next((child for command, child in children.items() if part in command), None)
        if process is None:
            raise RuntimeError(f"{role} has ended")
        family = [process, *process.children(recursive=True)]
        found[f"{role} MB"] = sum(each.memory_info().rss for each in family) / 1e6
        found[f"{role} threads"] = process.num_threads()
        found[f"{role} files"] = process.num_fds()
    return found


def report(seen: list[dict[str, float]], answers: Counter[str]) -> int:
    """Print what grew in the second half, and answers that should not be."""
    half, end = seen[len(seen) // 2], seen[-1]
    grown = [what for what in end if what.endswith("MB") and end[what] > MOST_GROWTH * half[what]]
    wrong = [answer for answer in answers if not is_expected(*answer.split())]
    print(f"grew by more than a tenth: {', '.join(grown) or 'nothing'}")
    print(f"wrong answers: {', '.join(wrong) or 'none'}")
    return 1 if grown or wrong else 0


def is_expected(kind: str, status: str) -> bool:
    """Whether requests of a kind may get that status."""
    return status in EXPECTED.get(kind, {"200"})


if __name__ == "__main__":
    sys.exit(main())
