"""The API process: what it says when it cannot start, and how it ends."""

import json
import signal
import socket
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from services.api.__main__ import listen
from services.contract.errors import SettingsError
from services.contract.stop_signals import STOP_SIGNALS
from tests.api.running_api import api_process
from tests.redis_server import RedisServer


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


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_those_of_both_kinds() -> None:
    with listen("::", 0) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_signal_to_stop_ends_it_gently(
    redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    with api_process(redis_url, tmp_path) as (process, _):
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Application shutdown complete" in said and "Traceback" not in said


@pytest.mark.slow
def test_a_redis_that_hangs_does_not_keep_it_from_ending(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with api_process(redis_server.url, tmp_path) as (process, url):
        askers = [HTTPConnection(url.removeprefix("http://"), timeout=60) for _ in range(3)]
        for asker in askers:
            asker.request("GET", "/healthz")
            asker.getresponse().read()
        redis_server.pause()
        for asker in askers:
            asker.request("GET", "/v1/jobs")
        # What came before this one is under way when it is answered.
        httpx.get(f"{url}/healthz")
        process.send_signal(signal.SIGTERM)
        # Python waits for every thread before a process ends, also for those that ask Redis.
        # `whisper-sv up` gives it 12 s, a container 10; a busy machine gets more here.
        _, said = process.communicate(timeout=60)
        codes = [json.load(asker.getresponse())["error"]["code"] for asker in askers]
    assert process.returncode == 0, said
    assert set(codes) <= {"service_stopping", "queue_unavailable"}
