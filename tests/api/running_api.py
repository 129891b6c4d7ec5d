"""The API over real HTTP: uvicorn in a thread of the test process, or a process of its own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from services.api.__main__ import config
from services.api.app import create_app
from services.contract.settings import ApiSettings, child_environ
from tests.redis_server import free_port
from tests.waiting import wait_until


class RunningApi:
    """One API process's worth of service on a free port of this machine."""

    def __init__(self, redis_url: str, folder: Path, **settings: object) -> None:
        self.folder = folder / "audio"
        given = {
            "redis_url": redis_url,
            "audio_store_url": f"file://{self.folder}",
            "models_dir": folder / "models",
            "model": "scripted",
            **settings,
        }
        self.settings = ApiSettings.model_validate(given)
        self.app = create_app(self.settings)
        self.server = uvicorn.Server(config(self.app))
        self.server.config.timeout_graceful_shutdown = 1
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> "RunningApi":
        self._thread.start()
        wait_until(lambda: self.server.started, what="the API")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)

    def empty_store(self) -> None:
        """Make the audio store an empty folder, whatever a test made of it."""
        if self.folder.is_file():
            self.folder.unlink()
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            path.unlink()

    def stored(self) -> list[str]:
        """Everything that lies in the audio store, temporary files among it."""
        return sorted(path.name for path in self.folder.iterdir())


@contextmanager
def api_process(
    redis_url: str, folder: Path, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield an API process that answers, and its address."""
    url = f"http://127.0.0.1:{free_port()}"
    given = {
        "STT_REDIS_URL": redis_url,
        "STT_PORT": url.rpartition(":")[2],
        "STT_AUDIO_STORE_URL": f"file://{folder / 'audio'}",
        **settings,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "services.api"],
        env=child_environ(given),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: answers(url), timeout_s=60, what="the API")
            yield process, url
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether an API is alive there."""
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False
