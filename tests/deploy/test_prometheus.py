"""Prometheus' own tool reads the configuration, and the alerts fire when they should."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"


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
