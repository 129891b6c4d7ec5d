import json
from pathlib import Path

import pytest

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import MANIFEST_FILE, read, seal, verify
from tests.contract.plain_bundles import FILES, N_TOKENS_OF_ENGLISH, make_bundle, make_plain


def test_bundle_says_what_its_manifest_says(tmp_path: Path) -> None:
    bundle = verify(make_bundle(tmp_path / "b", "kb", "3"))
    assert (bundle.id, bundle.name, bundle.languages) == ("kb@3", "kb", ("sv",))
    assert (bundle.tasks, bundle.n_mels, bundle.short_context) == (("transcribe",), 80, False)
    assert bundle.files == tuple(sorted(FILES))


def test_directory_without_manifest_is_a_model_for_everything(tmp_path: Path) -> None:
    bundle = verify(make_plain(tmp_path / "small"))
    assert (bundle.id, bundle.manifest, bundle.languages) == ("small", None, ())
    assert bundle.tasks == ("transcribe", "translate")
    assert not bundle.is_demo


@pytest.mark.parametrize("has_lines", [False, True], ids=["json", "txt"])
def test_directory_with_an_english_vocabulary_transcribes_english(
    tmp_path: Path, has_lines: bool
) -> None:
    path = make_plain(tmp_path / "tiny.en", n_tokens=N_TOKENS_OF_ENGLISH)
    if has_lines:
        (path / "vocabulary.json").unlink()
        (path / "vocabulary.txt").write_text("token\n" * N_TOKENS_OF_ENGLISH)
    bundle = read(path)
    assert (bundle.languages, bundle.tasks) == (("en",), ("transcribe",))


@pytest.mark.parametrize("text", ["[", "{}", '"word"'])
def test_vocabulary_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = make_plain(tmp_path / "small")
    (path / "vocabulary.json").write_text(text)
    with pytest.raises(ModelBundleError, match="not a JSON list"):
        read(path)


def test_mel_bands_of_a_plain_directory_come_from_the_preprocessor(tmp_path: Path) -> None:
    path = make_plain(tmp_path / "large")
    (path / "preprocessor_config.json").write_text('{"feature_size": 128}')
    assert read(path).n_mels == 128
    (path / "preprocessor_config.json").write_text('{"feature_size":')
    with pytest.raises(ModelBundleError, match="not a JSON object"):
        read(path)


@pytest.mark.parametrize("name", FILES)
def test_changed_byte_is_found_by_verify_and_not_by_read(tmp_path: Path, name: str) -> None:
    path = make_bundle(tmp_path / "b")
    (path / name).write_bytes(b"x" + (path / name).read_bytes()[1:])
    read(path)
    with pytest.raises(ModelBundleError, match=f"{name} is damaged"):
        verify(path)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = make_bundle(tmp_path / "b")
    (path / name).unlink()
    with pytest.raises(ModelBundleError, match=name):
        read(path)


def test_transformers_checkpoint_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelBundleError, match="python -m training convert"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "..\\b", ""])
def test_manifest_cannot_name_files_outside(tmp_path: Path, name: str) -> None:
    path = make_bundle(tmp_path / "b")
    manifest = json.loads((path / MANIFEST_FILE).read_text())
    manifest["files"][name] = "0" * 64
    (path / MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(ModelBundleError, match="must stay inside"):
        read(path)


@pytest.mark.parametrize("text", ["", "{", '{"format": 2}', "[]", '{"format": 1, "name": "a/b"}'])
def test_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = make_bundle(tmp_path / "b")
    (path / MANIFEST_FILE).write_text(text)
    with pytest.raises(ModelBundleError, match="is damaged at"):
        read(path)


def test_no_directory_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelBundleError, match="not a directory"):
        read(tmp_path / "nothing")


def test_seal_never_overwrites(tmp_path: Path) -> None:
    seal(make_plain(tmp_path / "staging"), tmp_path / "models" / "a")
    assert not (tmp_path / "staging").exists()
    with pytest.raises(ModelBundleError, match="exists already"):
        seal(make_plain(tmp_path / "other", "other"), tmp_path / "models" / "a")
    assert "other" not in (tmp_path / "models" / "a" / "model.bin").read_text()
