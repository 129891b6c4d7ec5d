import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.contract import model_sources
from services.contract.errors import ModelBundleError
from services.contract.model_bundle import verify
from services.contract.model_registry import deploy, resolve
from tests.contract.plain_bundles import make_bundle, make_plain


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    root = tmp_path / "web"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offline_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache directory, with no way to the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def _archive(source: Path, target: Path) -> None:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(source, arcname="bundle")


def test_bundle_arrives_over_http_as_a_folder(tmp_path: Path, web: tuple[Path, str]) -> None:
    make_bundle(web[0] / "kb")
    assert deploy(f"{web[1]}/kb", tmp_path / "models").id == "kb@1"


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_bundle_arrives_as_an_archive(tmp_path: Path, web: tuple[Path, str], scheme: str) -> None:
    _archive(make_bundle(tmp_path / "src"), web[0] / "kb.tar.gz")
    base = web[1] if scheme == "http" else f"file://{web[0]}"
    assert deploy(f"{base}/kb.tar.gz", tmp_path / "models").id == "kb@1"


def test_missing_url_is_one_clear_error(tmp_path: Path, web: tuple[Path, str]) -> None:
    with pytest.raises(ModelBundleError, match="cannot fetch a bundle from http"):
        deploy(f"{web[1]}/nothing", tmp_path / "models")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("WEB/nothing.tar.gz", "404"),
        ("WEB/nothing", "manifest.json: not found"),
        ("http://127.0.0.1:1/x.tar.gz", "Cannot connect"),
        ("file:///nothing/x.tar.gz", "No such file"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_with_the_reason(
    tmp_path: Path, web: tuple[Path, str], url: str, why: str
) -> None:
    with pytest.raises(ModelBundleError, match=f"cannot fetch a bundle from .*{why}"):
        model_sources.fetch_from_url(url.replace("WEB", web[1]), tmp_path)


def test_archive_that_climbs_out_is_refused(tmp_path: Path, web: tuple[Path, str]) -> None:
    with tarfile.open(web[0] / "evil.tar.gz", "w:gz") as archive:
        archive.add(make_bundle(tmp_path / "src") / "model.bin", arcname="../../../escaped")
    with pytest.raises(ModelBundleError, match="cannot fetch"):
        deploy(f"{web[1]}/evil.tar.gz", tmp_path / "models")
    assert not list(tmp_path.rglob("escaped"))


def test_truncated_archive_is_refused(tmp_path: Path, web: tuple[Path, str]) -> None:
    _archive(make_bundle(tmp_path / "src"), web[0] / "kb.tar.gz")
    whole = (web[0] / "kb.tar.gz").read_bytes()
    (web[0] / "kb.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelBundleError, match="cannot fetch"):
        deploy(f"{web[1]}/kb.tar.gz", tmp_path / "models")


def test_hub_model_is_served_from_the_cache_when_offline(tmp_path: Path, offline_hub: Path) -> None:
    repository = offline_hub / "models--KBLab--kb-whisper-small"
    make_plain(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    bundle = resolve("KBLab/kb-whisper-small", tmp_path, cache_dir=offline_hub)
    assert bundle.id == "KBLab/kb-whisper-small"
    assert deploy(bundle.id, tmp_path / "models", cache_dir=offline_hub).name == "kb-whisper-small"


def test_hub_out_of_reach_is_one_clear_error(tmp_path: Path, offline_hub: Path) -> None:
    with pytest.raises(ModelBundleError, match="not in the cache.*check the network"):
        resolve("KBLab/kb-whisper-small@main", tmp_path, cache_dir=offline_hub)


def test_existing_directory_wins_over_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(tmp_path / "models" / "mine")
    assert resolve("models/mine", tmp_path / "deployed").id == "kb@1"


def test_missing_demo_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "services" / "contract" / "model_sources.py"
    monkeypatch.setattr(model_sources, "__file__", str(copied))
    with pytest.raises(ModelBundleError, match="make demo-model"):
        resolve("demo", tmp_path)
    make_bundle(tmp_path / "models" / "demo", "demo")
    assert resolve("demo", tmp_path).id == "demo@1"


def test_interrupted_download_leaves_the_models_directory_clean(
    tmp_path: Path, web: tuple[Path, str]
) -> None:
    source = make_bundle(web[0] / "kb")
    (source / "model.bin").unlink()
    with pytest.raises(ModelBundleError):
        deploy(f"{web[1]}/kb", tmp_path / "models")
    assert [p.name for p in (tmp_path / "models").iterdir()] == [".lock"]
    shutil.rmtree(source)
    make_bundle(source)
    assert verify(deploy(f"{web[1]}/kb", tmp_path / "models").path).id == "kb@1"
