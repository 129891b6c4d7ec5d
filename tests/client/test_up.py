"""`whisper-sv up`: one line for every way it can fail, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ctranslate2
import httpx
import psutil
import pytest
from redis import Redis

from services.client.client import Client
from services.contract.settings import child_environ
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE
from tests.waiting import wait_until

Speech = Callable[..., Path]


def refused(stack: RunningStack) -> str:
    """Wait for the end of an `up` that cannot start; return the line that says why."""
    lines = [line for line in stack.read_rest() if line.startswith("error: ")]
    assert stack.process.returncode == 1, stack.lines
    assert len(lines) == 1, stack.lines
    assert not any("Traceback" in line for line in stack.lines)
    return lines[0]


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = refused(RunningStack(tmp_path, "demo", "--port", port))
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_a_data_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    assert "--data-dir" in refused(RunningStack(tmp_path / "file" / "data", "demo"))


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    # A mount of its own, seen by this one process.
    alone = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    small = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    if subprocess.run([*alone, small], capture_output=True).returncode:
        pytest.skip("this user may not make a small disk: unshare and mount are refused")
    up = f"{sys.executable} -m services.client up --port 0 --data-dir {tmp_path}"
    done = subprocess.run([*alone, f"{small} && {up}"], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "no space left" in line and "make room" in line


def test_a_wrong_redis_password_is_one_line(tmp_path: Path, redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.config_set("requirepass", "right")
        try:
            wrong = redis_url.replace("redis://", "redis://:wrong@")
            line = refused(RunningStack(tmp_path, "demo", STT_REDIS_URL=wrong))
        finally:
            client.config_set("requirepass", "")
    assert "Redis refuses the password" in line and "STT_REDIS_URL" in line


def test_a_redis_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    line = refused(RunningStack(tmp_path, "demo", STT_REDIS_URL="redis://h/notanumber"))
    assert "STT_REDIS_URL" in line and "redis://" in line


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    line = refused(RunningStack(tmp_path, "demo", STT_DEVICE="cuda"))
    assert "nvidia-smi" in line and "cpu" in line


def test_a_misspelt_setting_is_one_line(tmp_path: Path) -> None:
    line = refused(RunningStack(tmp_path, "demo", STT_MAX_AUDIO="1"))
    assert "did you mean STT_MAX_AUDIO_S?" in line


def test_ctrl_c_while_it_loads_leaves_no_trace(tmp_path: Path) -> None:
    # What the command loads first of all that is not Python's own.
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    up = [sys.executable, "-m", "services.client", "up", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(up, env=child_environ({"PYTHONPATH": str(tmp_path)}), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [0.0, 0.3, 1.0])
def test_a_signal_while_it_starts_leaves_nothing(
    tmp_path: Path, tiny_bundle_dir: Path, pause_s: float
) -> None:
    running = RunningStack(tmp_path, tiny_bundle_dir)
    wait_until(lambda: bool(running.children()), what="its first process")
    time.sleep(pause_s)
    assert running.stop() == 0
    assert running.lines[-1] == "Stopped."
    assert "Traceback" not in "".join(p.read_text() for p in tmp_path.glob("logs/*.log"))


#: Python swallows what a signal's handler raises in a finalizer.
SIGNAL_IN_A_FINALIZER = """
import os, pathlib, signal, sys
from rich.console import Console
from services.client import up

class Client:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def answers_ready(base_url):
    Client()
    return False

up.answers_ready = answers_ready
up.run(up.UpOptions(None, 0, pathlib.Path(sys.argv[1]), "demo"), Console())
"""


def test_a_signal_in_a_finalizer_stops_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SIGNAL_IN_A_FINALIZER, str(tmp_path)]
    done = subprocess.run(command, env=child_environ({}), capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[-1] == b"Stopped."


@pytest.mark.slow
def test_a_public_address_without_keys_is_one_line(tmp_path: Path, tiny_bundle_dir: Path) -> None:
    line = refused(RunningStack(tmp_path, tiny_bundle_dir, "--host", "0.0.0.0"))
    assert "STT_API_KEYS" in line


@pytest.mark.slow
def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    line = refused(RunningStack(tmp_path, tmp_path / "no-model"))
    assert "no-model" in line


@pytest.mark.slow
def test_a_hub_out_of_reach_is_one_line(tmp_path: Path) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")}
    line = refused(RunningStack(tmp_path / "data", "KBLab/kb-whisper-small", **nowhere))
    assert "KBLab/kb-whisper-small" in line and "check the network" in line and "demo" in line


@pytest.mark.slow
def test_a_data_folder_serves_one_up(stack: RunningStack, tiny_bundle_dir: Path) -> None:
    assert "Another `whisper-sv up`" in refused(RunningStack(stack.data_dir, tiny_bundle_dir))
    assert httpx.get(f"{stack.url}/readyz").is_success


@pytest.mark.slow
def test_what_was_said_is_for_this_user_alone(stack: RunningStack) -> None:
    for name in ("audio", "logs", "redis"):
        assert (stack.data_dir / name).stat().st_mode & 0o777 == 0o700, name


@pytest.mark.slow
def test_under_nohup_a_closed_terminal_does_not_end_it(
    tmp_path: Path, tiny_bundle_dir: Path
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does, and its child inherits.
    try:
        running = RunningStack(tmp_path, tiny_bundle_dir)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        running.wait_ready()
        running.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(2)
    finally:
        running.stop()


@pytest.mark.slow
def test_whatever_ends_it_nothing_is_left_but_what_was_done(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Speech
) -> None:
    done: list[str] = []
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        running = RunningStack(tmp_path, tiny_bundle_dir)
        with Client(running.wait_ready()) as client:
            assert all(client.transcript(job_id).strip() == SENTENCE for job_id in done)
            done.append(client.wait(client.submit(speech("hej")).id).id)
        assert len(running.children()) == 3
        status = running.stop(number)
        was_killed = number == signal.SIGKILL
        assert status == (-signal.SIGKILL if was_killed else 0)
        assert (tmp_path / "address").exists() == was_killed, "nobody answers there any more"


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Speech
) -> None:
    running = RunningStack(tmp_path, tiny_bundle_dir)
    try:
        with Client(running.wait_ready()) as client:
            for part in ("services.worker", "services.api", "redis-server"):
                dead = running.children()[part].pid
                os.kill(dead, signal.SIGKILL)
                wait_until(
                    lambda part=part, dead=dead: (
                        running.children().get(part, psutil.Process()).pid
                        not in (dead, os.getpid())
                    ),
                    what=f"another {part}",
                )
                done = client.wait(client.submit(speech("hej igen")).id)
                assert done.status == "succeeded", done.error
    finally:
        running.stop()
