import os
import shutil
import threading
from pathlib import Path

import pytest

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import ModelBundle, verify
from services.contract.model_registry import (
    CURRENT_FILE,
    current,
    deploy,
    list_deployed,
    resolve,
    rollback,
    served,
)
from tests.contract.plain_bundles import N_TOKENS_OF_ENGLISH, make_bundle, make_plain


def _current_id(models_dir: Path) -> str | None:
    bundle = current(models_dir)
    return bundle.id if bundle else None


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _deploy_version(tmp_path: Path, models_dir: Path, version: str) -> ModelBundle:
    return deploy(str(make_bundle(tmp_path / f"src{version}", version=version)), models_dir)


def test_deploy_copies_and_points_to_the_copy(tmp_path: Path, models_dir: Path) -> None:
    bundle = _deploy_version(tmp_path, models_dir, "1")
    assert bundle.path == models_dir / "kb" / "1"
    assert verify(bundle.path).id == "kb@1" == _current_id(models_dir)
    assert (models_dir / CURRENT_FILE).read_text() == "kb/1\n"
    assert sorted(p.name for p in models_dir.iterdir()) == [".lock", "current", "kb"]


def test_copy_holds_nothing_but_the_files_of_the_manifest(tmp_path: Path, models_dir: Path) -> None:
    source = make_bundle(tmp_path / "src")
    (source / "model.safetensors").write_bytes(b"x" * 1000)
    assert not (deploy(str(source), models_dir).path / "model.safetensors").exists()


def test_rollback_goes_back_step_by_step_to_the_setting(tmp_path: Path, models_dir: Path) -> None:
    for version in ("1", "2", "3"):
        _deploy_version(tmp_path, models_dir, version)
    base = str(make_plain(tmp_path / "base"))
    for expected in ("kb@2", "kb@1"):
        earlier = rollback(models_dir)
        assert earlier is not None
        assert earlier.id == expected == served(base, models_dir).id
    assert rollback(models_dir) is None
    assert served(base, models_dir).id == "base"
    with pytest.raises(ModelBundleError, match="nothing is deployed"):
        rollback(models_dir)


def test_deploying_the_same_bundle_twice_changes_nothing(tmp_path: Path, models_dir: Path) -> None:
    source = str(make_bundle(tmp_path / "src"))
    deploy(source, models_dir)
    deploy(source, models_dir)
    assert (models_dir / CURRENT_FILE).read_text() == "kb/1\n"


def test_a_model_with_the_name_of_the_pointer_is_refused(tmp_path: Path, models_dir: Path) -> None:
    """As a folder it would stand in the way of the file, and nothing could be deployed any more."""
    with pytest.raises(ModelBundleError, match="cannot be named current"):
        deploy(str(make_plain(tmp_path / CURRENT_FILE)), models_dir)
    assert _deploy_version(tmp_path, models_dir, "1").id == "kb@1" == _current_id(models_dir)


def test_same_version_with_other_content_is_refused(tmp_path: Path, models_dir: Path) -> None:
    _deploy_version(tmp_path, models_dir, "1")
    other = make_bundle(tmp_path / "other", wer=0.05)
    with pytest.raises(ModelBundleError, match="another version"):
        deploy(str(other), models_dir)


def test_damaged_bundle_is_refused_and_the_old_one_stays(tmp_path: Path, models_dir: Path) -> None:
    _deploy_version(tmp_path, models_dir, "1")
    bad = make_bundle(tmp_path / "bad", version="2")
    (bad / "model.bin").write_text("flipped")
    with pytest.raises(ModelBundleError, match="is damaged"):
        deploy(str(bad), models_dir)
    assert _current_id(models_dir) == "kb@1"
    assert [bundle.id for bundle in list_deployed(models_dir)] == ["kb@1"]


@pytest.mark.parametrize(
    ("wer", "test_set", "force", "deployed"),
    [
        (0.105, "a", False, True),
        (0.1051, "a", False, False),
        (0.3, "a", True, True),
        (0.3, "b", False, True),
    ],
)
def test_gate_compares_on_the_same_test_set_only(
    tmp_path: Path, models_dir: Path, wer: float, test_set: str, force: bool, deployed: bool
) -> None:
    _deploy_version(tmp_path, models_dir, "1")
    new = str(make_bundle(tmp_path / "new", version="2", wer=wer, test_set=test_set))
    if deployed:
        deploy(new, models_dir, force=force)
    else:
        with pytest.raises(ModelBundleError, match="is worse than kb@1"):
            deploy(new, models_dir, force=force)
    assert _current_id(models_dir) == ("kb@2" if deployed else "kb@1")


def test_damaged_copy_in_the_way_is_to_be_removed(tmp_path: Path, models_dir: Path) -> None:
    bundle = _deploy_version(tmp_path, models_dir, "1")
    (bundle.path / "model.bin").unlink()
    with pytest.raises(ModelBundleError, match=f"copy the bundle again. Remove {bundle.path}"):
        deploy(str(tmp_path / "src1"), models_dir, force=True)


def test_deleted_folder_is_named_with_the_way_out(tmp_path: Path, models_dir: Path) -> None:
    for version in ("1", "2"):
        _deploy_version(tmp_path, models_dir, version)
    shutil.rmtree(models_dir / "kb" / "1")
    with pytest.raises(ModelBundleError, match=r"names kb/1, which is not there.*--force"):
        rollback(models_dir)
    shutil.rmtree(models_dir / "kb" / "2")
    with pytest.raises(ModelBundleError, match=r"names kb/2, which is not there.*--force"):
        current(models_dir)


def test_damaged_bundle_is_left_out_of_the_list_and_named(
    tmp_path: Path, models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for version in ("1", "2"):
        _deploy_version(tmp_path, models_dir, version)
    (models_dir / "kb" / "1" / "model.bin").unlink()
    assert [bundle.id for bundle in list_deployed(models_dir)] == ["kb@2"]
    assert "kb/1" in caplog.messages[0]


def test_plain_directory_gets_a_manifest_named_by_its_content(
    tmp_path: Path, models_dir: Path
) -> None:
    first = deploy(str(make_plain(tmp_path / "My model!")), models_dir)
    assert first.name == "My-model-"
    again = deploy(str(make_plain(tmp_path / "copy" / "My model!")), models_dir)
    assert again.id == first.id == verify(first.path).id


def test_plain_english_model_says_so_once_deployed(tmp_path: Path, models_dir: Path) -> None:
    source = make_plain(tmp_path / "tiny.en", n_tokens=N_TOKENS_OF_ENGLISH)
    bundle = deploy(str(source), models_dir)
    assert (bundle.languages, bundle.tasks) == (("en",), ("transcribe",))


def test_deployed_models_resolve_by_name_and_version(tmp_path: Path, models_dir: Path) -> None:
    for version in ("1", "2"):
        _deploy_version(tmp_path, models_dir, version)
    rollback(models_dir)
    assert resolve("kb@2", models_dir).id == "kb@2"
    assert resolve("kb", models_dir).id == "kb@1", "a name means the version that is served"
    assert deploy("kb@2", models_dir).id == "kb@2" == _current_id(models_dir)


@pytest.mark.parametrize("line", ["../evil/1", "kb", "/kb/1", "kb/../x", "kb/1/2"])
def test_pointer_cannot_leave_the_models_directory(models_dir: Path, line: str) -> None:
    models_dir.mkdir()
    (models_dir / CURRENT_FILE).write_text(f"{line}\n")
    with pytest.raises(ModelBundleError, match="bad line"):
        current(models_dir)


def test_current_without_a_models_directory_is_none(models_dir: Path) -> None:
    assert current(models_dir) is None
    assert list_deployed(models_dir) == []


def test_unknown_model_lists_what_there_is(tmp_path: Path, models_dir: Path) -> None:
    _deploy_version(tmp_path, models_dir, "1")
    with pytest.raises(ModelBundleError, match=r"no model 'kbb'.*kb@1"):
        resolve("kbb", models_dir)


def test_unwritable_models_directory_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelBundleError, match="cannot write the models directory"):
        deploy(str(make_bundle(tmp_path / "src")), tmp_path / "file" / "models")


@pytest.mark.parametrize("below", ["1", "1/model.bin"])
def test_a_served_model_that_may_not_be_read_is_one_clear_error(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """Deployed by somebody else, or on a network disk. The superuser may do all: simulated."""
    _deploy_version(tmp_path, models_dir, "1")
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path == models_dir / "kb" / below:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ModelBundleError, match=rf"cannot read .*{below}: Permission denied"):
        current(models_dir)


def test_concurrent_deploys_leave_every_version_and_a_whole_pointer(
    tmp_path: Path, models_dir: Path
) -> None:
    sources = [str(make_bundle(tmp_path / str(n), version=str(n))) for n in range(6)]
    threads = [threading.Thread(target=deploy, args=(source, models_dir)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_deployed(models_dir)) == 6
    assert sorted((models_dir / CURRENT_FILE).read_text().split()) == [f"kb/{n}" for n in range(6)]
