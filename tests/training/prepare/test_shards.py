"""Shards: what is written comes back, from any process, and damage is told."""

import hashlib
import io
import pickle
import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.contract.errors import DataError
from training.prepare.audio import encode
from training.prepare.manifest import MANIFEST_FILE, PreparedManifest, ShardEntry
from training.prepare.shards import PreparedCorpus, ShardWriter


def tone(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    times = np.arange(1600 + number)
    return (8000 * np.sin(times * (number + 1) / 50)).astype(np.int16)


def facts(name: str) -> dict[str, object]:
    return {
        "id": name,
        "text": "Åäö.",
        "duration_s": 0.1,
        "speaker": "a",
        "start_s": None,
        "end_s": None,
        "audio_sha256": "0" * 64,
    }


def write_shard(folder: Path, name: str, numbers: range) -> ShardEntry:
    with ShardWriter(folder, name, "train") as writer:
        for number in numbers:
            writer.add(encode(tone(number)), facts(f"clip{number:02d}"))
        return writer.close()


def write_corpus(folder: Path) -> PreparedCorpus:
    folder.mkdir(exist_ok=True)
    shards = (
        write_shard(folder, "train-00000", range(5)),
        write_shard(folder, "train-00001", range(5, 8)),
    )
    manifest = PreparedManifest(
        source="tones",
        sample_rate_hz=16_000,
        shards=shards,
        splits={},
        filters={},
        settings={},
        label_policy="none",
        plan_sha256="",
        tools={},
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())
    (folder / "report.json").write_text("{}")
    return PreparedCorpus.open(folder)


def test_clips_come_back_in_order_with_their_samples(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    clips = corpus.clips("train")
    assert [clip.id for clip in clips] == [f"clip{number:02d}" for number in range(8)]
    for number, clip in enumerate(clips):
        assert (np.round(corpus.samples(clip) * 32768) == tone(number)).all()
    assert corpus.clips("dev") == []


def test_index_points_at_what_the_tar_holds(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    with tarfile.open(tmp_path / "train-00000.tar") as tar:
        members = {member.name: member for member in tar}
        assert {member.mtime for member in members.values()} == {0}
        for clip in corpus.clips("train")[:5]:
            member = members[f"{clip.id}.flac"]
            assert (member.offset_data, member.size) == (clip.offset, clip.n_bytes)
            assert f"{clip.id}.json" in members


def test_entry_gives_hash_and_size_of_the_files(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, "train-00000", range(3))
    raw = (tmp_path / shard.file).read_bytes()
    assert (shard.sha256, shard.n_bytes) == (hashlib.sha256(raw).hexdigest(), len(raw))
    assert shard.n_clips == 3
    index = (tmp_path / shard.index).read_bytes()
    assert shard.index_sha256 == hashlib.sha256(index).hexdigest()


def test_shard_without_clips_is_a_tar_all_the_same(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, "train-00000", range(0))
    with tarfile.open(tmp_path / shard.file) as tar:
        assert not tar.getmembers()


def test_unfinished_shard_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, "train-00000", "train") as writer:
        writer.add(encode(tone(1)), facts("clip"))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["train-00000.tar.part"]


def test_corpus_crosses_processes(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    clips = corpus.clips("train")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        elsewhere = list(pool.map(corpus.samples, clips))
    for samples, clip in zip(elsewhere, clips, strict=True):
        assert (samples == corpus.samples(clip)).all()
    assert len(pickle.dumps(corpus)) < 5000


def test_changed_index_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    index = tmp_path / "train-00001.jsonl"
    index.write_bytes(index.read_bytes().replace(b"clip05", b"clip99"))
    with pytest.raises(DataError, match="train-00001.jsonl: its sha256 is not the manifest's"):
        corpus.clips("train")


def test_damaged_clip_is_named(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    clip = corpus.clips("train")[2]
    with (tmp_path / clip.shard).open("r+b") as file:
        file.seek(clip.offset)
        file.write(b"\0" * clip.n_bytes)
    with pytest.raises(DataError, match="clip clip02 is damaged"):
        corpus.samples(clip)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    clip = corpus.clips("train")[0]
    (tmp_path / clip.shard).unlink()
    with pytest.raises(DataError, match="train-00000.tar: cannot be read"):
        corpus.samples(clip)


@pytest.mark.parametrize("content", [None, b"{}", b"not json"])
def test_folder_without_a_corpus_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(DataError, match="manifest.json: .*prepare"):
        PreparedCorpus.open(tmp_path)


def test_unknown_protocol_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="cannot be read; give a folder, URL or archive"):
        PreparedCorpus.open("nowhere://bucket/sv")


def test_flac_bytes_are_equal_each_time() -> None:
    assert encode(tone(3)) == encode(tone(3))
    assert io.BytesIO(encode(tone(3))).read(4) == b"fLaC"
