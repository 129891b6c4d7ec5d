from pathlib import Path

import pytest

from services.contract.errors import PublishError
from tests.training.publish.hub_stand_in import TOKEN, HubStandIn
from training.publish.config import PublishConfig
from training.publish.upload import Hub

# From within huggingface_hub's plain HTTP upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README.md").write_text("# Model")
    for number, name in enumerate(("model.bin", "model.safetensors")):
        (folder / name).write_bytes(bytes([number]) * 300_000)
    return folder


def _config(endpoint: str, attempts: int = 6) -> PublishConfig:
    return PublishConfig(repo_id="me/kb", endpoint=endpoint, first_wait_s=0, attempts=attempts)


@pytest.mark.parametrize(
    "failures",
    [
        {"create": [503]},
        {"put": ["drop"] * 7},
        {"commit": [500, 503]},
        {"batch": [429] * 7, "commit": [502]},
    ],
)
def test_upload_that_fails_midway_goes_on_where_it_stopped(
    folder: Path, hub: HubStandIn, failures: dict[str, list[int | str]]
) -> None:
    hub.fail = failures
    Hub(_config(hub.url)).upload(folder, "", "Publish")
    assert not any(hub.fail.values()), "every planned failure happened"
    assert hub.files == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
    }
    assert set(hub.puts.values()) == {1}, "what arrived whole was not sent again"


def test_hub_that_stays_down_is_one_clear_error_and_the_next_run_goes_on(
    folder: Path, hub: HubStandIn
) -> None:
    hub.fail = {"commit": [500] * 3}
    with pytest.raises(PublishError, match="failed 3 times.*run the command again"):
        Hub(_config(hub.url, attempts=3)).upload(folder, "", "Publish")
    assert hub.files == {}
    Hub(_config(hub.url)).upload(folder, "", "Publish")
    assert len(hub.files) == 3
    assert set(hub.puts.values()) == {1}


def test_no_network_is_one_clear_error(folder: Path, hub: HubStandIn) -> None:
    with pytest.raises(PublishError, match="failed 2 times"):
        Hub(_config("http://127.0.0.1:9", attempts=2)).upload(folder, "", "Publish")


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        ("hf_old", None, "does not know this token"),
        (TOKEN, 403, "may not write to me/kb"),
        (TOKEN, 400, "the hub refuses me/kb"),
    ],
)
def test_what_no_retry_mends_stops_at_once(
    folder: Path,
    hub: HubStandIn,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    status: int | None,
    message: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.fail = {"create": [status, 599]} if status else {}
    with pytest.raises(PublishError, match=message):
        Hub(_config(hub.url)).upload(folder, "", "Publish")
    assert not status or hub.fail["create"] == [599], "there was one try"


def test_no_token_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(PublishError, match="hf auth login"):
        Hub(_config("http://127.0.0.1:9"))
