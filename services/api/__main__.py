"""Run the API: `python -m services.api`, configured by STT_ variables."""

import gc
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI

from services.api import processes
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
    if settings.api_processes > 1:
        return processes.run(config(processes.APPLICATION, settings.api_processes), listener)
    # What is here now stays as long as the process: the collector need not walk over it.
    gc.freeze()
    serving = uvicorn.Server(config(app))
    # uvicorn knows no SIGHUP, and sends itself those it has obeyed once more when it is done.
    on_stop(serving.handle_exit)
    serving.run(sockets=[listener])
    return 0


def config(app: FastAPI | str, n_processes: int = 1) -> uvicorn.Config:
    """Return how the API is served, with the bounds for its connections.

    Args:
        app: what create_app made; for several processes the name of what makes it in each.
        n_processes: how many will serve it.
    """
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=n_processes,
        timeout_worker_healthcheck=processes.HANGS_AFTER_S,
        port=0,  # Of those who bring no socket: a free one.
        http=HttpProtocol,
        access_log=False,  # It is ours (middleware.py): uvicorn's has queries in it.
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
        ws="none",
    )


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
