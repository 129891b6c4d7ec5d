"""The real OpenAI SDK for Node against the real API, where npm gives it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api.recordings import wav
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_openai_sdk import TEXT

SCRIPT = Path(__file__).with_name("openai_sdk.mjs")


@pytest.fixture(scope="module")
def node_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `import OpenAI from "openai"` works."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "openai"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"npm does not give the package: {done.stderr[-200:]}")
    shutil.copy(SCRIPT, folder)
    return folder


@pytest.mark.slow
def test_all_ways_of_asking(api: RunningApi, worker: ScriptedWorker, node_project: Path) -> None:
    (node_project / "clip.wav").write_bytes(wav())
    command = ["node", SCRIPT.name, f"{api.url}/v1", "clip.wav"]
    done = subprocess.run(command, cwd=node_project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["json"] == told["deltas"] == told["bytes"] == TEXT
    assert told["srt"].startswith("1\n00:00:00,000 --> ")
    assert told["verbose"] == ["swedish", TEXT, True, True]
    assert told["last"] == ["transcript.text.done", TEXT]
    assert told["refusal"] == ["BadRequestError", 400, "unsupported_audio", "file"]
    assert told["models"] == ["model"] and told["job"]
