"""`whisper-sv up` as a user runs it: a process of its own that says where it listens."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from services.contract.settings import child_environ
from tests.waiting import wait_until

READY = re.compile(r"whisper-sv is ready: (\S+)")


class RunningStack:
    """One `up`, on a free port, with its data in a folder of its own."""

    def __init__(self, data_dir: Path, model: Path | str, *options: str, **environ: str) -> None:
        """Start it; `wait_ready` is next."""
        self.data_dir = data_dir
        self.lines: list[str] = []
        command = [sys.executable, "-m", "services.client", "up", "--port", "0"]
        command += ["--data-dir", str(data_dir), "--model", str(model), *options]
        self.process = subprocess.Popen(
            command,
            env=child_environ({"OMP_NUM_THREADS": "1", **environ}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = ""

    def wait_ready(self) -> str:
        """Read what it says up to its address, and return that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := READY.search(line):
                self.url = found[1]
                return self.url
        logs = "\n".join(p.read_text()[-2000:] for p in self.data_dir.glob("logs/*.log"))
        raise AssertionError("\n".join(self.lines) + logs)

    def read_rest(self) -> list[str]:
        """Wait for its end; return all that it said."""
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            with self.process.stdout as output:
                self.lines += output.read().splitlines()
        self.process.wait(60)
        return self.lines

    def children(self) -> dict[str, psutil.Process]:
        """Return its processes by the name of their part."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = " ".join(child.cmdline())
            except psutil.Error:  # It has just ended.
                continue
            for part in ("redis-server", "services.api", "services.worker"):
                if part in words:
                    found[part] = child
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait; return the exit status, after its processes are gone too."""
        children = list(self.children().values()) if self.process.poll() is None else []
        self.process.send_signal(number)
        self.read_rest()
        wait_until(
            lambda: not any(child.is_running() for child in children),
            what="the end of its processes",
        )
        return self.process.returncode
