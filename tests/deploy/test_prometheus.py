"""Prometheus' own tool reads the configuration, and the alerts fire when they should."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from services.client.client import Client
from tests.deploy.prometheus_server import PrometheusServer
from tests.running_stack import RunningStack
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
#: What is told of a small disk, and of a first recording on a machine with other work.
OF_THE_MACHINE = {"StoreNearlyFull", "SlowerThanRealTime"}


def promtool(*arguments: str) -> None:
    """Run promtool; fail with what it says."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on PATH; it comes with the Debian package prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_and_rules_are_valid() -> None:
    promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    cases = (Path(__file__).parent / "alerts_test.yml").read_text(encoding="utf-8")
    path = tmp_path / "alerts_test.yml"
    path.write_text(cases.replace("ROOT", str(ROOT)), encoding="utf-8")
    promtool("test", "rules", str(path))


def test_every_alert_says_what_to_do() -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]


@pytest.mark.slow
def test_a_running_prometheus_sees_every_figure_and_tells_of_a_missing_worker_and_redis(
    tmp_path: Path, tiny_bundle_dir: Path, speech: Callable[..., Path]
) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus on PATH; it comes with the Debian package of that name")
    running = RunningStack(tmp_path / "data", tiny_bundle_dir)
    target = running.wait_ready().removeprefix("http://")
    (tmp_path / "prometheus").mkdir()
    server = PrometheusServer(tmp_path / "prometheus", target)
    try:
        with Client(running.url) as client:
            # The pace of shorter recordings is not told.
            client.wait(client.submit(speech("Hej och välkommen till oss")).id)
            wait_until(lambda: figures_of_the_rules() <= server.names(), what="every figure")
            wait_until(lambda: set(server.alerts()) <= OF_THE_MACHINE, what="quiet")
            paused = running.children()["services.worker"]
            os.kill(paused.pid, signal.SIGSTOP)
            # The first goes to the frozen worker, which has asked for it already.
            for words in ("hej igen", "vi ses i morgon"):
                client.submit(speech(words))
            wait_firing(server, "NoWorkerForWaitingJobs")
            os.kill(paused.pid, signal.SIGCONT)
            wait_until(
                lambda: "NoWorkerForWaitingJobs" not in server.alerts(),
                what="the alert to end",
            )
        os.kill(running.children()["redis-server"].pid, signal.SIGSTOP)
        wait_firing(server, "ServiceDown")
        os.kill(running.children()["redis-server"].pid, signal.SIGCONT)
    finally:
        server.stop()
        running.stop()


def wait_firing(server: PrometheusServer, alert: str) -> None:
    wait_until(lambda: server.alerts().get(alert) == "firing", what=alert)


def figures_of_the_rules() -> set[str]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    found = {name for rule in group["rules"] for name in re.findall(r"\bstt_\w+", rule["expr"])}
    assert len(found) > 5
    return found
