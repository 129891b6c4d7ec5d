"""Several processes of the API behind one port: one service to whoever asks."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from services.contract.stop_signals import STOP_SIGNALS
from tests.api.recordings import wav
from tests.api.running_api import answers, api_process
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@contextmanager
def two_processes(redis_url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the first process, which serves nothing itself, and the address of both others."""
    settings = {"STT_API_PROCESSES": "2", "TMPDIR": str(folder)}
    with api_process(redis_url, folder, **settings) as (process, url):
        wait_until(lambda: len(listening(process)) == 2, timeout_s=60, what="both to serve")
        yield process, url


def listening(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that serve, or are about to: they have started a probe."""
    return [child for child in psutil.Process(process.pid).children() if child.children()]


@contextmanager
def alone(chosen: psutil.Process, process: subprocess.Popen[str]) -> Iterator[None]:
    """Let only one of them take requests, and nobody think that the others hang."""
    others = [each for each in listening(process) if each != chosen]
    stopped = [psutil.Process(process.pid), *others]
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in reversed(stopped):
            each.resume()


def send(url: str) -> str:
    """Send a recording; return the id of its job."""
    answer = httpx.post(f"{url}/v1/jobs", files={"file": ("a.wav", wav(0.5))}, timeout=60)
    return str(answer.raise_for_status().json()["id"])


def told(url: str, figure: str) -> float:
    """Return a figure of /metrics."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    return float(next(line for line in lines if line.startswith(figure)).rsplit(" ", 1)[1])


def test_a_job_of_one_is_known_to_the_other_and_counted_with_its_own(
    redis_url: str, tmp_path: Path
) -> None:
    with two_processes(redis_url, tmp_path) as (process, url):
        one, other = listening(process)
        for chosen, n_jobs in ((one, 1), (other, 2)):
            with alone(chosen, process):
                ids = [send(url) for _ in range(n_jobs)]
        with alone(one, process):
            for job_id in ids:
                assert httpx.get(f"{url}/v1/jobs/{job_id}").json()["status"] == "queued"
            assert told(url, 'stt_audio_seconds_total{lane="interactive"}') == pytest.approx(1.5)
            assert told(url, 'stt_queue_depth{lane="interactive"}') == 3
        with alone(other, process):
            assert told(url, 'stt_audio_seconds_total{lane="interactive"}') == pytest.approx(1.5)


def test_another_takes_the_place_of_one_that_was_killed_and_its_counts_stay(
    redis_url: str, tmp_path: Path
) -> None:
    with two_processes(redis_url, tmp_path) as (process, url):
        one, other = listening(process)
        with alone(one, process):
            send(url)
        one.kill()
        send(url)
        wait_until(
            lambda: len(listening(process)) == 2 and one not in listening(process),
            timeout_s=60,
            what="another process",
        )
        assert other in listening(process)
        assert told(url, 'stt_audio_seconds_total{lane="interactive"}') == pytest.approx(1.0)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_signal_to_stop_ends_all_gently(
    redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    with two_processes(redis_url, tmp_path) as (process, _):
        everybody = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("Application shutdown complete") == 2 and "Traceback" not in said
    psutil.wait_procs(everybody, timeout=60)
    assert not any(each.is_running() for each in everybody)


def test_the_others_end_with_a_first_one_that_was_killed(redis_url: str, tmp_path: Path) -> None:
    with two_processes(redis_url, tmp_path) as (process, url):
        everybody = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(everybody, timeout=60)
        assert not alive and not answers(url)


def broken() -> None:
    """An application that cannot start."""
    raise SystemExit(3)


def test_what_cannot_start_is_not_started_again_and_again() -> None:
    program = (
        "import socket, sys; from services.api import __main__, processes;"
        "listener = socket.create_server(('127.0.0.1', 0));"
        f"sys.exit(processes.run(__main__.config('{__name__}:broken', 2), listener))"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert ended.returncode == 1
