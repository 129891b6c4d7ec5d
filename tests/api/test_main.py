"""The API process: what it says when it cannot start, and how it ends."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from services.api.__main__ import listen
from services.contract.errors import SettingsError
from services.contract.settings import child_environ
from services.contract.stop_signals import STOP_SIGNALS
from tests.redis_server import free_port
from tests.waiting import wait_until


def test_a_port_in_use_is_one_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port}: Address already in use. Stop"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match="Cannot listen on 203.0.113.1"):
        listen("203.0.113.1", 0)


@pytest.mark.parametrize("host", ["[::1]", "nowhere.invalid", "å" * 64])
def test_a_name_of_no_host_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(SettingsError, match="No such host"):
        listen(host, 0)


def test_a_free_port_is_listened_on() -> None:
    with listen("127.0.0.1", 0) as listener:
        socket.create_connection(listener.getsockname()).close()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_signal_to_stop_ends_it_gently(
    redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    given = {
        "STT_REDIS_URL": redis_url,
        "STT_PORT": str(port),
        "STT_AUDIO_STORE_URL": f"file://{tmp_path / 'audio'}",
    }

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
        except httpx.TransportError:
            return False

    with subprocess.Popen(
        [sys.executable, "-m", "services.api"],
        env=child_environ(given),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(answers, timeout_s=60, what="the API")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Application shutdown complete" in said and "Traceback" not in said
