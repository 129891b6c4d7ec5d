"""The API process: what it says when it cannot start."""

import socket

import pytest

from services.api.__main__ import listen
from services.contract.errors import SettingsError


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
