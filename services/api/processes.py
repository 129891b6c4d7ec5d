"""Several API processes behind one port, for more uploads than one core can take.

They share the listening socket, Redis and the store, as those of several hosts share the last two.
What each counts for /metrics lies in a folder that all of them read. uvicorn starts them, and
another one in the place of one that ended or hangs.
"""

import gc
import multiprocessing
import signal
import socket
import tempfile

from fastapi import FastAPI
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from services.api.app import create_app
from services.contract import logs
from services.contract.settings import ApiSettings, load, share_counts
from services.contract.stop_signals import ends_with, on_stop

#: The factory of the application in each process.
APPLICATION = f"{__name__}:application"
#: A process that says nothing for so long hangs. One that begins answers before it loads anything.
HANGS_AFTER_S = 10


def run(config: Config, listener: socket.socket) -> int:
    """Run `config.workers` processes until told to stop; return the exit code.

    Args:
        config: of each process; its application is APPLICATION.
        listener: where they take connections, each as it has time.
    """
    at_hangup = signal.getsignal(signal.SIGHUP)
    with tempfile.TemporaryDirectory(prefix="whisper-sv-metrics-") as folder:
        share_counts(folder)
        supervisor = Multiprocess(config, [listener])
        # For uvicorn a closed terminal means to start all anew.
        signal.signal(signal.SIGHUP, at_hangup)
        on_stop(lambda *_: supervisor.signal_queue.append(signal.SIGTERM))
        supervisor.run()
    has_failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return 1 if has_failed else 0


def application() -> FastAPI:
    """Build the application of one of the processes, whose settings the first one has checked."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # The first process says when to stop.
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None and (arm := ends_with(parent.pid)):
        arm()
    settings = load(ApiSettings)
    logs.configure(settings.log_level)
    app = create_app(settings)
    gc.freeze()  # As __main__.py does for one process.
    return app
