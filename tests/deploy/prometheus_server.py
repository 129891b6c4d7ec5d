"""A real Prometheus with the project's rules, which scrapes one API every second.

What the rules wait for is shortened from minutes to seconds; nothing else of them is changed.
"""

import re
import subprocess
from pathlib import Path

import httpx
import yaml

from tests.redis_server import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


class PrometheusServer:
    """One prometheus process with its data in a folder of its own."""

    def __init__(self, folder: Path, target: str) -> None:
        """Start it on the address `host:port` of an API."""
        rules = (FOLDER / "alerts.yml").read_text(encoding="utf-8")
        (folder / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 2s", rules))
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with (folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )

    def alerts(self) -> dict[str, str]:
        """Return the state of each alert that is not quiet: pending or firing."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/alerts", timeout=5)
        except httpx.TransportError:  # It is starting.
            return {}
        found = answer.json()["data"]["alerts"] if answer.is_success else []
        return {alert["labels"]["alertname"]: alert["state"] for alert in found}

    def names(self) -> set[str]:
        """Return the names of all figures that it has scraped."""
        answer = httpx.get(f"{self.url}/api/v1/label/__name__/values", timeout=5)
        return set(answer.json()["data"])

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)
