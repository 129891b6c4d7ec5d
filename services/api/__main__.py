"""Run the API: `python -m services.api`, configured by STT_ variables."""

import gc
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI

from services.api.app import create_app
from services.api.http_protocol import HttpProtocol
from services.contract import logs
from services.contract.errors import SettingsError, SttError
from services.contract.redis_client import require_access
from services.contract.settings import ApiSettings, load
from services.contract.stop_signals import on_stop

#: Open streams are cut after this when the process is asked to stop; their clients come back.
SHUTDOWN_S = 5
#: A client may keep a connection open between two requests.
KEEP_ALIVE_S = 65


def main() -> int:
    """Serve until told to stop; return the exit code."""
    try:
        settings = load(ApiSettings)
        require_access(settings.redis_url)
        app = create_app(settings)
        listener = listen(settings.host, settings.port)
    except SttError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    logs.configure(settings.log_level)
    # What is here now stays as long as the process: the collector need not walk over it.
    gc.freeze()
    serving = server(app)
    # uvicorn knows no SIGHUP, and sends itself those it has obeyed once more when it is done.
    on_stop(serving.handle_exit)
    serving.run(sockets=[listener])
    return 0


def server(app: FastAPI, *, port: int = 0, shutdown_s: int = SHUTDOWN_S) -> uvicorn.Server:
    """Return what serves the API, with its bounds for connections.

    Args:
        app: what create_app made.
        port: to listen on where `run` gets no sockets; 0 is a free one.
        shutdown_s: how long open answers may go on when the server is asked to stop.
    """
    config = uvicorn.Config(
        app,
        port=port,
        http=HttpProtocol,
        access_log=False,  # It is ours (middleware.py): uvicorn's has queries in it.
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=shutdown_s,
        server_header=False,
        ws="none",
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket before anything else starts.

    Raises:
        SettingsError: the address is taken, not one of this machine, or none.
    """
    is_v6 = ":" in host
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        host.encode("idna")  # It says of any name that it can be none of a host's.
        return socket.create_server(
            (host, port),
            family=family,
            backlog=2048,
            # `::` is all addresses, not only the long ones.
            dualstack_ipv6=is_v6 and socket.has_dualstack_ipv6(),
        )
    except (OSError, UnicodeError) as error:
        # Those of names that lead nowhere are negative.
        errno = getattr(error, "errno", None) or -1
        why = os.strerror(errno) if errno >= 0 else "No such host"
        raise SettingsError(
            f"Cannot listen on {host} port {port}: {why}. Stop what uses it, or choose "
            "another STT_HOST or STT_PORT.",
            param="port",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
