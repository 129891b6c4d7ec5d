"""Every kind of source, with the oddities that real ones have."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from services.contract.errors import DataError
from tests.training.prepare.conftest import Spoken, read_tsv, write_tsv
from training.prepare import audio_folder, common_voice, manifest_file, tables
from training.prepare.config import PrepareConfig
from training.prepare.rows import Drop, Row, clip_id
from training.prepare.run import prepare
from training.prepare.sources import open_source

MANIFEST_LINES = [
    {"audio": "a.wav", "text": "Hej.", "speaker": "anna", "split": "validation"},
    {"audio": "sub/b.wav", "text": "Två, delar.", "start": 1.5, "end": 3},
]


def parted(answers: Iterable[Row | Drop]) -> tuple[list[Row], dict[str, str]]:
    """Part rows from drops; of a drop, say where and why."""
    answers = list(answers)
    rows = [answer for answer in answers if isinstance(answer, Row)]
    return rows, {drop.where: drop.detail for drop in answers if isinstance(drop, Drop)}


def rows_of(source: Path, scratch: Path, **options: object) -> list[Row]:
    config = PrepareConfig.model_validate({"source": source, **options})
    rows, bad = parted(open_source(config, scratch).rows)
    assert not bad
    return rows


def test_release_yields_each_clip_once_in_its_split(release: Path) -> None:
    rows, bad = parted(common_voice.read(release, extra=True))
    assert not bad
    assert [row.split for row in rows] == ["test"] * 4 + ["dev"] * 4 + ["train"] * 10 + [
        "extra"
    ] * 6
    assert rows[0].where == "test.tsv:2" and rows[0].speaker == "speaker0"
    assert rows[0].id == "common_voice_sv-SE_000"
    assert len(parted(common_voice.read(release, extra=False))[0]) == 18


def test_quotes_in_sentences_do_not_swallow_rows(release: Path) -> None:
    rows = read_tsv(release / "train.tsv")
    rows[0]["sentence"], rows[1]["sentence"] = '"Öppet citat', "Slut''\" på 'det"
    write_tsv(release / "train.tsv", rows)
    read, _ = parted(common_voice.read(release, extra=False))
    texts = [row.text for row in read if row.split == "train"]
    assert len(texts) == 10
    assert texts[:2] == ['"Öppet citat', "Slut''\" på 'det"]


def test_columns_of_an_old_and_a_new_release(release: Path) -> None:
    rows = [{**row, "path": row["path"][:-4]} for row in read_tsv(release / "train.tsv")]
    write_tsv(release / "train.tsv", rows, ["client_id", "path", "sentence"])
    extra = [{**row, "sentence_domain": "", "variant": ""} for row in read_tsv(release / "dev.tsv")]
    write_tsv(release / "dev.tsv", extra, [*extra[0]])
    (release / "validated.tsv").unlink()
    read, bad = parted(common_voice.read(release, extra=True))
    assert not bad and len(read) == 18
    assert all(row.audio.endswith(".mp3") for row in read)


@pytest.mark.parametrize("by", ["sentence", "sentence_id"])
def test_reported_sentences_are_marked(release: Path, by: str) -> None:
    row = read_tsv(release / "train.tsv")[3]
    report = {
        "sentence": "",
        "sentence_id": "",
        "locale": "sv-SE",
        "reason": "grammar",
        by: row[by],
    }
    write_tsv(release / "reported.tsv", [report], [*report])
    read, _ = parted(common_voice.read(release, extra=True))
    assert [each.text for each in read if each.reported] == [row["sentence"]]


def test_missing_column_names_those_there(release: Path) -> None:
    write_tsv(release / "train.tsv", read_tsv(release / "train.tsv"), ["client_id", "path"])
    with pytest.raises(DataError, match="train.tsv: has no column sentence; .* client_id, path"):
        parted(common_voice.read(release, extra=False))


def test_rows_that_cannot_be_read_are_named_by_line(release: Path) -> None:
    lines = (release / "train.tsv").read_bytes().splitlines(keepends=True)
    lines[2] = b"too\tfew\n"
    lines[4] = lines[4].replace(b"Nummer", b"\xff\xfe")
    lines[6] = lines[6].replace(b"\t2\t0\t", b"\ttv\xc3\xa5\t0\t")
    (release / "train.tsv").write_bytes(b"".join(lines))
    read, bad = parted(common_voice.read(release, extra=False))
    assert len(read) == 15
    assert bad == {
        "train.tsv:3": "2 columns where the header has 7",
        "train.tsv:5": "not UTF-8",
        "train.tsv:7": "up_votes and down_votes must be whole numbers",
    }


def test_folder_with_several_languages_asks_which(release: Path, tmp_path: Path) -> None:
    (release.parent / "fi" / "clips").mkdir(parents=True)
    write_tsv(release.parent / "fi" / "train.tsv", [])
    with pytest.raises(DataError, match="set prepare.locale to one of fi, sv-SE"):
        rows_of(release.parent, tmp_path)
    assert rows_of(release.parent, tmp_path, locale="sv-SE")
    with pytest.raises(DataError, match="no train.tsv with a clips folder beside it for de"):
        rows_of(release.parent, tmp_path, locale="de")


def test_tarball_that_climbs_out_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cv.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../escaped"), io.BytesIO())
    scratch = tmp_path / "a" / "scratch"
    with pytest.raises(DataError, match=r"cv.tar.gz: cannot be unpacked .*download it again"):
        rows_of(tmp_path / "cv.tar.gz", scratch)
    assert not (tmp_path / "a" / "escaped").exists()


def test_truncated_tarball_is_refused(release: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cv.tar.gz", "w:gz") as tar:
        tar.add(release, "cv/sv-SE")
    raw = (tmp_path / "cv.tar.gz").read_bytes()
    (tmp_path / "cv.tar.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="download it again"):
        rows_of(tmp_path / "cv.tar.gz", tmp_path / "scratch")
    assert not (tmp_path / "scratch" / "release").exists()


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
def test_manifest_of_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(line) + "\n\n" for line in MANIFEST_LINES))
    else:
        between = "," if kind == "csv" else "\t"
        table = [
            ["audio", "text", "speaker", "split", "start", "end"],
            ["a.wav", "Hej.", "anna", "validation", "", ""],
            ["sub/b.wav", '"Två, delar."', "", "", "1.5", "3"],
        ]
        path.write_text("\ufeff" + "\n".join(between.join(line) for line in table))
    first, second = rows_of(path, tmp_path)
    assert (first.id, first.split, first.speaker) == ("a", "dev", "anna")
    text = '"Två, delar."' if kind == "tsv" else "Två, delar."
    assert (second.text, second.start_s, second.end_s) == (text, 1.5, 3.0)
    assert second.id.endswith("-1500-3000") and second.split == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"audio": "a.wav", "sentence": "x"}\n', "has no column text; its columns are"),
        ("a.csv", "path,text\na.wav,x\n", "has no column audio; its columns are path, text"),
        ("a.tsv", "", r"has no column audio; its columns are \(none\)"),
    ],
)
def test_manifest_without_a_column(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        rows_of(tmp_path / name, tmp_path)


def test_manifest_lines_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    lines = [
        '{"audio": "a.wav", "text": "x"}',
        "not json",
        "[1]",
        '{"audio": "", "text": "x"}',
        '{"audio": "a.wav", "text": 3}',
        '{"audio": "a.wav", "text": "x", "split": "holdout"}',
        '{"audio": "a.wav", "text": "x", "start": -1}',
        '{"audio": "a.wav", "text": "x", "start": "NaN"}',
        '{"audio": "a.wav", "text": "x", "start": 3, "end": 2}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows, bad = parted(manifest_file.read(tmp_path / "a.jsonl"))
    assert len(rows) == 1
    assert list(bad) == [f"a.jsonl:{number}" for number in range(2, 10)]
    assert bad["a.jsonl:6"] == "split must be train, dev, test or extra, not 'holdout'"
    assert bad["a.jsonl:9"] == "end (2 s) must come after start (3 s)"


def test_csv_lines_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"audio,text\na.wav,x,y\nb.wav\nc.wav,\xff\nd.wav,ok\n")
    rows, bad = parted(manifest_file.read(tmp_path / "a.csv"))
    assert [row.audio for row in rows] == ["d.wav"]
    assert bad == {
        "a.csv:2": "more columns than the header has",
        "a.csv:3": "text must be a string",
        "a.csv:4": "not UTF-8",
    }


def test_spreadsheet_with_semicolons_or_spaces_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.CSV").write_text('\ufeffaudio;text\r\na.wav;"Ja; nej, kanske."\r\n')
    (tmp_path / "b.csv").write_text('audio, text\na.wav, "Ja, nej."\n')
    assert [row.text for row in rows_of(tmp_path / "a.CSV", tmp_path)] == ["Ja; nej, kanske."]
    assert [row.text for row in rows_of(tmp_path / "b.csv", tmp_path)] == ["Ja, nej."]


def test_rows_that_no_file_or_tokenizer_could_take_are_named(
    spoken: tuple[Spoken, ...], tmp_path: Path
) -> None:
    lines = [
        json.dumps({"audio": str(spoken[0].path), "text": spoken[0].text}),
        '{"audio": "a\\u0000.wav", "text": "x"}',
        '{"audio": "a.wav", "text": "half \\ud800"}',
        '{"audio": ".", "text": "x"}',
        "[" * 100_000,
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    config = PrepareConfig(source=tmp_path / "a.jsonl", workers=1, max_bad_share=1)
    assert prepare(config, str(tmp_path / "out")).splits["train"].n_clips == 1
    bad = json.loads((tmp_path / "out" / "report.json").read_text())["dropped"]["bad"]
    assert sorted(each["where"] for each in bad["examples"]) == [
        f"a.jsonl:{number}" for number in range(2, 6)
    ]


def test_quote_that_never_closes_does_not_swallow_rows(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('audio\ttext\na.wav\t"Öppet\nb.wav\tNästa\n')
    assert [row.text for row in rows_of(tmp_path / "a.tsv", tmp_path)] == ['"Öppet', "Nästa"]
    (tmp_path / "a.csv").write_text('audio,text\na.wav,"Öppet\nb.wav,Nästa\n')
    with pytest.raises(DataError, match="a.csv:2: not readable as csv: unexpected end of data"):
        rows_of(tmp_path / "a.csv", tmp_path)


def test_folder_of_recordings(tmp_path: Path) -> None:
    for name in ("anna/1.wav", "test/bo/2.flac", "3.mp3", "4.wav", "note.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        (tmp_path / name).with_suffix(".txt").write_text(f"Text {name}", encoding="utf-8-sig")
    (tmp_path / "4.txt").unlink()
    (tmp_path / "3.txt").write_bytes(b"\xff")
    rows, bad = parted(audio_folder.read(tmp_path))
    assert {row.audio: (row.speaker, row.split) for row in rows} == {
        "anna/1.wav": ("anna", ""),
        "test/bo/2.flac": ("bo", "test"),
    }
    assert bad == {"3.mp3": "its .txt is not UTF-8", "4.wav": "has no .txt beside it"}


def test_unknown_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").touch()
    with pytest.raises(DataError, match="a.pdf: is no source this reads; give a folder"):
        rows_of(tmp_path / "a.pdf", tmp_path)


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


def test_folder_without_any_text_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp3").touch()
    with pytest.raises(DataError, match="no .txt beside any of it; .*train.tsv and clips/"):
        rows_of(tmp_path, tmp_path)


def test_download_that_is_no_tarball_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cv.tar.gz").write_text("<html>log in</html>")
    with pytest.raises(DataError, match=r"cannot be unpacked \(.*\); download it again") as told:
        rows_of(tmp_path / "cv.tar.gz", tmp_path)
    assert "\n" not in told.value.message


def test_table_rows_without_audio_or_text_are_named(tmp_path: Path) -> None:
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    audio = pyarrow.array([None, {"bytes": b"x", "path": "a.mp3"}], kind)
    text = pyarrow.array(["x", None], pyarrow.string())
    write_table(pyarrow.table({"audio": audio, "text": text}), tmp_path / "a.parquet")
    rows, bad = parted(tables.read(tmp_path / "a.parquet", tmp_path))
    assert not rows
    assert bad == {
        "a.parquet:0": "audio must be a path, or a struct of bytes and path",
        "a.parquet:1": "the text must be a string",
    }


def test_clip_ids_are_safe_and_stay_apart() -> None:
    assert clip_id("common_voice_sv-SE_1.mp3") == "common_voice_sv-SE_1"
    assert clip_id("å/b.c.wav") != clip_id("ä/b.c.wav")
    for name in ("../../x.wav", "/abs/x.wav", "a b.wav", "å.wav", "x" * 300 + ".wav", ".wav"):
        made = clip_id(name)
        assert made and len(made) < 100 and not set(made) & set("./ ")
    assert clip_id("a.wav", 0.5, None) == "a-500-end"
