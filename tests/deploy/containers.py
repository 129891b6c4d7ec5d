"""Drives the project's images and compose stack, with Docker or with what CONTAINER_LAB names.

CONTAINER_LAB is a command with the verbs `build` and `compose`, for machines without a Docker
engine; podman is then the tool that inspects containers.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


def missing() -> str | None:
    """Return why containers cannot run here, or None."""
    if os.environ.get("CONTAINER_LAB"):
        return None
    if shutil.which("docker") is None:
        return "no docker on PATH and CONTAINER_LAB is not set"
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True)
    return None if answer.returncode == 0 else "the Docker engine does not answer"


def build_command() -> list[str]:
    lab = os.environ.get("CONTAINER_LAB")
    return [lab, "build"] if lab else ["docker", "build"]


def inspect_command() -> list[str]:
    return ["podman"] if os.environ.get("CONTAINER_LAB") else ["docker"]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of container commands; podman needs the lab's own configuration."""
    settings = Path(os.environ.get("COMPOSE_LAB", "/var/tmp/compose-lab")) / "containers.conf"
    lab = {"CONTAINERS_CONF": str(settings)} if os.environ.get("CONTAINER_LAB") else {}
    return {**os.environ, **lab, **extra}


def run(
    command: list[str],
    *,
    timeout_s: float = 300,
    env: Mapping[str, str] | None = None,
    expected_status: int = 0,
) -> str:
    """Run a command in the repository; return its output, or fail with all of it."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout_s,
    )
    ended = f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}"
    assert done.returncode == expected_status, ended
    return done.stdout


def build_image(dockerfile: str, tag: str, *arguments: str) -> str:
    """Build one image; return what the build printed."""
    command = [*build_command(), "-f", dockerfile, "-t", tag, *arguments, "."]
    return run(command, timeout_s=1500)


@dataclass
class Stack:
    """One compose project with a name, a port and volumes of its own."""

    project: str
    port: int
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, timeout_s: float = 300, expected_status: int = 0) -> str:
        lab = os.environ.get("CONTAINER_LAB")
        base = [lab, "compose"] if lab else ["docker", "compose"]
        env = {"PUBLISH_PORT": str(self.port), **self.settings}
        return run(
            [*base, "-p", self.project, *arguments],
            timeout_s=timeout_s,
            env=env,
            expected_status=expected_status,
        )

    def containers(self, service: str) -> list[str]:
        """Return the names of the running containers of a service."""
        names = run(
            [
                *inspect_command(),
                "ps",
                "--filter",
                f"label=com.docker.compose.project={self.project}",
                "--filter",
                f"label=com.docker.compose.service={service}",
                "--format",
                "{{.Names}}",
            ],
        )
        return [line for line in names.splitlines() if line.startswith(self.project)]

    def inside(self, container: str, *command: str) -> str:
        """Run a command in a container."""
        return run([*inspect_command(), "exec", container, *command])

    def process(self, container: str) -> int:
        """Return the process id, on this host, of the container's first process."""
        answer = run([*inspect_command(), "inspect", "--format", "{{.State.Pid}}", container])
        return int(answer.split()[-1])

    def log(self, container: str) -> str:
        """Return what a container has printed."""
        return run([*inspect_command(), "logs", container])

    def end(self, container: str) -> list[str]:
        """Remove a container, scaled ones too, which `down` may overlook; return its log."""
        log = self.log(container)
        run([*inspect_command(), "rm", "-f", "-v", container])
        return log.splitlines()
