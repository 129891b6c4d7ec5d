"""`whisper-sv up`: the whole service on this machine, from one command, until Ctrl-C.

API and worker are subprocesses; this module knows only their names and settings.
"""

import errno
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from services.client import announcement, data_folder, embedded_redis
from services.client.child_process import ChildPlan
from services.client.stack import REDIS_TIMEOUT_S, Stack, answers_ready
from services.contract.errors import ServiceError, SettingsError
from services.contract.settings import ApiSettings, ClientSettings, child_environ, load
from services.contract.stop_signals import on_stop

#: The first start may download a model from the hub.
READY_TIMEOUT_S = 3600.0
#: What the logs and Redis' files take in the first minutes.
LEAST_FREE_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class UpOptions:
    """The command line of `up`; None leaves a setting as the environment has it."""

    host: str | None
    port: int | None
    data_dir: Path
    model: str | None


class Stopped(BaseException):
    """Somebody asked this process to end."""


class StopRequest:
    """The handler of the stop signals, which only takes note of one.

    What a handler raises is lost when the signal comes while Python runs a finalizer.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._is_made = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; a second one changes nothing."""
        self._is_made = True

    def check(self) -> None:
        """Leave what goes on if a signal has come.

        Raises:
            Stopped: it has.
        """
        if self._is_made:
            raise Stopped


@dataclass(frozen=True)
class Site:
    """Where the stack runs, once that is settled."""

    data_dir: Path
    variables: dict[str, str]
    base_url: str
    lock: int
    """Descriptor that holds the data folder."""


def run(options: UpOptions, console: Console) -> None:
    """Start everything, announce it, and keep it running until a signal to stop.

    Raises:
        SttError: something cannot be started; nothing is left running.
    """
    stop = StopRequest()
    on_stop(stop)
    data_dir = _prepared(options.data_dir)
    try:
        with embedded_redis.locked(data_dir, stop.check) as lock, Stack(stop.check) as stack:
            environ, base_url = _settled(options, data_dir)
            site = Site(data_dir, environ, base_url, lock)
            console.print("Starting Redis, API and worker; a new model is downloaded first.")
            _start(stack, site)
            with data_folder.announced(data_dir, base_url):
                announcement.show(console, base_url, data_dir, load(ClientSettings))
                stack.watch(lambda line: console.print(line, soft_wrap=True, highlight=False))
    except Stopped:
        console.print("Stopped.")


def _start(stack: Stack, site: Site) -> None:
    address = embedded_redis.url(site.data_dir)
    if site.variables["STT_REDIS_URL"] == address:  # Else somebody else's Redis is used.
        stack.start(embedded_redis.plan(site.data_dir, site.variables, site.lock))
        stack.wait_until(lambda: embedded_redis.answers(address), REDIS_TIMEOUT_S, "Redis")
    for name in ("api", "worker"):
        command = (sys.executable, "-m", f"services.{name}")
        log_file = site.data_dir / "logs" / f"{name}.log"
        stack.start(ChildPlan(name, command, site.variables, log_file))
    stack.wait_until(lambda: answers_ready(site.base_url), READY_TIMEOUT_S, "The service")


def _settled(options: UpOptions, data_dir: Path) -> tuple[dict[str, str], str]:
    """Return the environment of all processes and the address of the API.

    What the command line says wins over the environment, which wins over the data folder.

    Raises:
        SettingsError: a value is wrong, or the port is taken.
    """
    changes = dict(data_folder.defaults(data_dir, load(ApiSettings)))
    changes["STT_READY_REQUIRES_WORKER"] = "true"
    chosen = {"HOST": options.host, "PORT": options.port, "MODEL": options.model}
    changes |= {f"STT_{name}": str(v) for name, v in chosen.items() if v is not None}
    environ = child_environ(changes)
    settings = load(ApiSettings, environ)
    port = _free_port(settings.host, settings.port)
    return {**environ, "STT_PORT": str(port)}, _base_url(settings.host, port)


def _free_port(host: str, port: int) -> int:
    """Return the port if nobody listens on it; any free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}; "
            "choose another with --port or --host"
        ) from error


def _prepared(data_dir: Path) -> Path:
    """Make the data folder and try to write in it: on a full disk no process could say why."""
    try:
        (data_dir / "models").mkdir(parents=True, exist_ok=True)
        for name in ("logs", "audio"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir) as probe:
            probe.write(bytes(LEAST_FREE_BYTES))
            probe.flush()
    except OSError as error:
        cure = "make room" if error.errno == errno.ENOSPC else "make it writable"
        raise ServiceError(
            f"Cannot write to the data folder {data_dir}: {(error.strerror or '').lower()}; "
            f"{cure}, or choose another with --data-dir"
        ) from error
    return data_dir.resolve()


def _base_url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
