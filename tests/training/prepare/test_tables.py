"""Parquet and Arrow exports."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from services.contract.errors import DataError
from tests.training.prepare.conftest import Spoken
from tests.training.prepare.reading import parted, rows_of
from training.prepare import tables
from training.prepare.config import PrepareConfig
from training.prepare.run import prepare


def table_of(spoken: tuple[Spoken, ...]) -> pyarrow.Table:
    audio = [{"bytes": clip.path.read_bytes(), "path": clip.path.name} for clip in spoken[:6]]
    return pyarrow.table({"audio": audio, "sentence": [clip.text for clip in spoken[:6]]})


def test_tables_prepare_like_any_other_source(spoken: tuple[Spoken, ...], tmp_path: Path) -> None:
    """Parquet and both Arrow forms hold the same clips, so they give the same shards."""
    shards = {}
    for kind in ("parquet", "file.arrow", "stream.arrow"):
        folder = tmp_path / kind / "train"
        folder.mkdir(parents=True)
        write_table(table_of(spoken), folder / f"data-00000.{kind}")
        out = tmp_path / f"out-{kind}"
        config = PrepareConfig(source=tmp_path / kind, workers=1, name="table")
        assert prepare(config, str(out)).splits["train"].n_clips == 6
        shards[kind] = (out / "train-00000.tar").read_bytes()
        assert not (out / ".partial").exists()
    assert len(set(shards.values())) == 1


def write_table(table: pyarrow.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
        return
    new = pyarrow.ipc.new_stream if "stream" in path.name else pyarrow.ipc.new_file
    with pyarrow.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table)


def test_splits_of_tables_come_from_their_names(tmp_path: Path) -> None:
    audio = [{"bytes": None, "path": "a.wav"}]
    for name in ("validation-00000-of-00001.parquet", "sv/test/0000.parquet", "other.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_table(pyarrow.table({"audio": audio, "text": ["x"]}), tmp_path / name)
    rows, _ = parted(tables.read(tmp_path, tmp_path))
    assert {row.where: row.split for row in rows} == {
        "validation-00000-of-00001.parquet:0": "dev",
        "sv/test/0000.parquet:0": "test",
        "other.parquet:0": "",
    }
    assert {row.audio for row in rows if row.split == "test"} == {str(tmp_path / "a.wav")}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("sv_se/train-0.parquet", "nb_no/test/0.parquet"), ["nb_no, sv_se"]),
        (("data/train-0.parquet", "data/test-0.parquet", "validation/0.parquet"), []),
    ],
)
def test_configurations_that_are_read_together_are_told(
    spoken: tuple[Spoken, ...], tmp_path: Path, names: tuple[str, ...], told: list[str]
) -> None:
    """Each is a language of its own in many a dataset of the hub."""
    for number, name in enumerate(names):
        path = tmp_path / "dataset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(table_of(spoken).slice(number, 1), path)
    prepare(PrepareConfig(source=tmp_path / "dataset", workers=1), str(tmp_path / "out"))
    notes = json.loads((tmp_path / "out" / "report.json").read_text())["notes"]
    found = [note for note in notes if "were read together" in note]
    assert [note.partition(" were read together")[0] for note in found] == told


def test_caches_of_the_datasets_library_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    data = pyarrow.table({"audio": [{"bytes": None, "path": "a.wav"}], "text": ["x"]})
    write_table(data, tmp_path / "train" / "data-00000-of-00001.arrow")
    write_table(pyarrow.table({"indices": [0]}), tmp_path / "train" / "cache-6a47ae97e4e0.arrow")
    (row,) = rows_of(tmp_path, tmp_path)
    assert row.where == "train/data-00000-of-00001.arrow:0"


def test_table_without_a_column_or_damaged(tmp_path: Path) -> None:
    write_table(pyarrow.table({"audio": [1], "label": [2]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has no column text or sentence; its columns are audio"):
        rows_of(tmp_path / "a.parquet", tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="a.parquet: not readable .*export it again"):
        rows_of(tmp_path / "a.parquet", tmp_path)


def test_table_may_name_files_and_have_odd_votes(tmp_path: Path) -> None:
    columns = {"audio": ["a.wav", "b.wav"], "text": ["x", "y"], "speaker_id": [0, 1]}
    table = pyarrow.table({**columns, "up_votes": [2.0, float("nan")]})
    write_table(table, tmp_path / "a.parquet")
    (row,), bad = parted(tables.read(tmp_path / "a.parquet", tmp_path))
    assert (row.audio, row.speaker, row.up_votes) == (str(tmp_path / "a.wav"), "0", 2)
    assert bad == {"a.parquet:1": "up_votes and down_votes must be whole numbers"}


def test_text_is_read_as_people_write_it_where_a_table_has_both(tmp_path: Path) -> None:
    """As FLEURS: a model that learns the other column writes neither capitals nor commas."""
    texts = {"transcription": ["hej på dig"], "raw_transcription": ["Hej på dig!"]}
    write_table(pyarrow.table({"audio": ["a.wav"], **texts}), tmp_path / "a.parquet")
    (row,) = rows_of(tmp_path / "a.parquet", tmp_path)
    assert row.text == "Hej på dig!"


def test_table_rows_without_audio_or_text_are_named(tmp_path: Path) -> None:
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    audio = pyarrow.array([None, {"bytes": b"x", "path": "a.mp3"}], kind)
    text = pyarrow.array(["x", None], pyarrow.string())
    write_table(pyarrow.table({"audio": audio, "text": text}), tmp_path / "a.parquet")
    rows, bad = parted(tables.read(tmp_path / "a.parquet", tmp_path))
    assert not rows
    assert bad == {
        "a.parquet:0": "audio must be a path, the bytes of a file, or a struct of bytes and path",
        "a.parquet:1": "the text must be a string",
    }


def test_clip_of_another_table_is_not_taken_again(tmp_path: Path) -> None:
    for content in (b"first", b"other"):
        audio = [{"bytes": content, "path": "a.wav"}]
        write_table(pyarrow.table({"audio": audio, "text": ["x"]}), tmp_path / "train.parquet")
        (row,) = rows_of(tmp_path / "train.parquet", tmp_path)
        assert (tmp_path / row.audio).read_bytes() == content


@pytest.mark.parametrize("form", ["struct", "struct without path", "bytes"])
def test_clips_of_one_table_stay_apart(
    spoken: tuple[Spoken, ...], tmp_path: Path, form: str
) -> None:
    table = table_of(spoken)
    if form == "bytes":
        table = table.set_column(0, "audio", table["audio"].combine_chunks().field("bytes"))
    elif form == "struct without path":
        audio = [{"bytes": clip["bytes"], "path": None} for clip in table["audio"].to_pylist()]
        table = table.set_column(0, "audio", pyarrow.array(audio))
    write_table(table, tmp_path / "train.parquet")
    rows = rows_of(tmp_path / "train.parquet", tmp_path)
    stored = [(tmp_path / row.audio).read_bytes() for row in rows]
    assert stored == [clip.path.read_bytes() for clip in spoken[:6]]
    assert len({row.id for row in rows}) == 6
