"""The single-file archive: equal bytes, and nothing believed before its hash is right."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.contract.errors import DataError
from tests.training.prepare.test_shards import write_corpus
from training.prepare.archive import export, unpack
from training.prepare.shards import PreparedCorpus

Members = dict[str, bytes]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus")
    export(str(tmp_path / "corpus"), tmp_path / "sv.tar.gz")
    return tmp_path / "sv.tar.gz"


def repack(archive: Path, change: Callable[[Members], Members]) -> Path:
    """Write the archive anew with other members."""
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in change(members).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return archive


def files_outside(tmp_path: Path) -> set[str]:
    return {path.name for path in tmp_path.iterdir()}


def test_archive_opens_as_its_folder_does(archive: Path, tmp_path: Path) -> None:
    folder, packed = tmp_path / "corpus", tmp_path / "cache"
    direct = PreparedCorpus.open(folder)
    corpus = PreparedCorpus.open(archive, cache_dir=packed)
    assert corpus.manifest_sha256 == direct.manifest_sha256
    clip = corpus.clips("train")[3]
    assert np.array_equal(corpus.samples(clip), direct.samples(clip))


def test_same_corpus_packs_to_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    export(str(tmp_path / "corpus"), tmp_path / "again.tar.gz")
    assert archive.read_bytes() == (tmp_path / "again.tar.gz").read_bytes()


def test_archive_is_unpacked_once(archive: Path, tmp_path: Path) -> None:
    folder = unpack(str(archive), tmp_path / "cache")
    (folder / "mark").touch()
    assert unpack(str(archive), tmp_path / "cache") == folder
    assert (folder / "mark").exists()


def test_other_shard_under_the_same_name_is_refused(archive: Path, tmp_path: Path) -> None:
    repack(archive, lambda members: {**members, "train-00001.tar": b"another"})
    with pytest.raises(DataError, match="train-00001.tar does not have its sha256"):
        unpack(str(archive), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped-from-archive", "folder/escaped"])
def test_path_that_climbs_out_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    repack(archive, lambda members: {**members, name: b"x"})
    before = files_outside(tmp_path)
    with pytest.raises(DataError, match="do not trust it"):
        unpack(str(archive), tmp_path / "cache")
    assert files_outside(tmp_path) - before <= {"cache"}
    assert not list((tmp_path / "cache").iterdir())


def test_manifest_that_names_a_path_outside_is_refused(archive: Path, tmp_path: Path) -> None:
    def climb(members: Members) -> Members:
        manifest = json.loads(members["manifest.json"])
        manifest["shards"][0]["file"] = "../escaped"
        return {"manifest.json": json.dumps(manifest).encode(), "../escaped": b"x"}

    with pytest.raises(DataError, match="names a file outside the corpus"):
        unpack(str(repack(archive, climb)), tmp_path / "cache")


def test_missing_shard_is_named(archive: Path, tmp_path: Path) -> None:
    repack(archive, lambda m: {k: v for k, v in m.items() if k != "train-00000.tar"})
    with pytest.raises(DataError, match="lacks train-00000.tar"):
        unpack(str(archive), tmp_path / "cache")


def test_link_is_not_followed(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json").read()  # type: ignore[union-attr]
    with tarfile.open(archive, "w:gz") as tar:
        first = tarfile.TarInfo("manifest.json")
        first.size = len(manifest)
        tar.addfile(first, io.BytesIO(manifest))
        link = tarfile.TarInfo("train-00000.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match="damaged or not made by"):
        unpack(str(archive), tmp_path / "cache")


def test_truncated_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match="damaged or not made by"):
        unpack(str(archive), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    "content", [b"no archive", gzip.compress(b"no tar")], ids=["plain", "gzip"]
)
def test_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="x.tar.gz: damaged or not made by"):
        unpack(str(tmp_path / "x.tar.gz"), tmp_path / "cache")


def test_missing_archive_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; export it"):
        unpack(str(tmp_path / "x.tar.gz"), tmp_path / "cache")


def test_cache_that_cannot_be_written_is_named(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be unpacked into .*file"):
        unpack(str(archive), tmp_path / "file")


def test_incomplete_corpus_is_not_packed(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus" / "train-00001.tar").unlink()
    before = archive.read_bytes()
    with pytest.raises(DataError, match="train-00001.tar: is missing"):
        export(str(tmp_path / "corpus"), archive)
    assert archive.read_bytes() == before
