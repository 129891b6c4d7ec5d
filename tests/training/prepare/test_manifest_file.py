"""Manifests as people, scripts and spreadsheets write them."""

import json
import shutil
from pathlib import Path

import pytest

from services.contract.errors import DataError
from tests.training.prepare.conftest import Spoken
from tests.training.prepare.reading import parted, rows_of
from training.prepare import manifest_file
from training.prepare.config import PrepareConfig
from training.prepare.run import prepare
from training.prepare.shards import PreparedCorpus

MANIFEST_LINES = [
    {"audio": "a.wav", "text": "Hej.", "speaker": "anna", "split": " Validation"},
    {"audio": "sub/b.wav", "text": "Två, delar.", "start": 1.5, "end": 3},
]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
def test_manifest_of_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(line) + "\n\n" for line in MANIFEST_LINES))
    else:
        between = "," if kind == "csv" else "\t"
        table = [
            ["audio", "text", "speaker", "split", "start", "end"],
            ["a.wav", "Hej.", "anna", "Validation ", "", ""],
            ["sub/b.wav", '"Två, delar."', "", " ", "1.5", "3"],
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
        ("a.csv", "audio,text,Text\na.wav,x,y\n", "has the column text twice"),
    ],
)
def test_manifest_without_a_column(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        rows_of(tmp_path / name, tmp_path)


def test_repeated_column_that_nobody_reads_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("audio,text,note,note,,\na.wav,Hej.,1,2,,\n")
    (row,) = rows_of(tmp_path / "a.csv", tmp_path)
    assert row.text == "Hej."


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
        '{"audio": "a.wav", "text": "x", "start": 1' + 400 * "0" + "}",
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows, bad = parted(manifest_file.read(tmp_path / "a.jsonl"))
    assert len(rows) == 1
    assert list(bad) == [f"a.jsonl:{number}" for number in range(2, 11)]
    assert bad["a.jsonl:6"] == "split must be train, dev, test or extra, not 'holdout'"
    assert bad["a.jsonl:9"] == "end (2 s) must come after start (3 s)"


def test_csv_lines_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"audio,text\na.wav,x,y\nb.wav\nc.wav,\xff\nd.wav,ok\n")
    rows, bad = parted(manifest_file.read(tmp_path / "a.csv"))
    assert [row.audio for row in rows] == ["d.wav"]
    assert bad == {
        "a.csv:2": "more columns than the header has",
        "a.csv:3": "text must be a string",
        "a.csv:4": "not UTF-8; save the file as UTF-8",
    }


def test_path_of_windows_is_read_and_a_backslash_in_a_name_kept(tmp_path: Path) -> None:
    (tmp_path / "own\\name.wav").touch()
    (tmp_path / "a.csv").write_text("audio,text\nclips\\a.wav,Hej.\nown\\name.wav,Nej.\n")
    first, second = rows_of(tmp_path / "a.csv", tmp_path)
    assert (first.audio, second.audio) == ("clips/a.wav", "own\\name.wav")


def test_swedish_decimal_comma_is_read_in_times(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("audio;text;start;end\na.wav;Hej.;0,5;2,25\n")
    [row] = rows_of(tmp_path / "a.csv", tmp_path)
    assert (row.start_s, row.end_s) == (0.5, 2.25)


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


def test_split_whose_only_clip_cannot_be_read_is_told(
    spoken: tuple[Spoken, ...], tmp_path: Path
) -> None:
    lines = []
    for number, clip in enumerate(spoken[:3]):
        shutil.copy(clip.path, tmp_path / f"{number}.mp3")
        lines.append(json.dumps({"audio": f"{number}.mp3", "text": clip.text}))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    config = PrepareConfig(source=tmp_path / "a.jsonl", workers=1, max_bad_share=1)
    prepare(config, str(tmp_path / "out"))
    [dev] = PreparedCorpus.open(tmp_path / "out").clips("dev")
    (tmp_path / f"{dev.id}.mp3").write_bytes(b"no sound")
    assert prepare(config, str(tmp_path / "again")).splits["dev"].n_clips == 0
    [note] = json.loads((tmp_path / "again" / "report.json").read_text())["notes"][1:]
    assert note.startswith("no clip is left of the 1 drawn or marked for dev: mend or remove")


def test_speakers_of_a_marked_test_set_are_told_when_they_are_drawn_for_training(
    spoken: tuple[Spoken, ...], tmp_path: Path
) -> None:
    lines = []
    for clip, split in zip(spoken[:6], ["test", "test", "", "", "", ""], strict=True):
        line = {"audio": str(clip.path), "text": clip.text, "speaker": "anna", "split": split}
        lines.append(json.dumps(line))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    config = PrepareConfig(source=tmp_path / "a.jsonl", workers=1)
    n_train = prepare(config, str(tmp_path / "out")).splits["train"].n_clips
    *_, note = json.loads((tmp_path / "out" / "report.json").read_text())["notes"]
    assert note.startswith(f"{n_train} of {n_train} clips of train are of speakers in dev or test")


def test_quote_that_never_closes_does_not_swallow_rows(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('audio\ttext\na.wav\t"Öppet\nb.wav\tNästa\n')
    assert [row.text for row in rows_of(tmp_path / "a.tsv", tmp_path)] == ['"Öppet', "Nästa"]
    (tmp_path / "a.csv").write_text('audio,text\na.wav,"Öppet\nb.wav,Nästa\n')
    with pytest.raises(DataError, match="a.csv:2: not readable as csv: unexpected end of data"):
        rows_of(tmp_path / "a.csv", tmp_path)


def test_spreadsheet_of_another_coding_or_spelling_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("Audio\t Text\r\na.wav\tÅ, ja.\r\n", encoding="utf-16")
    (tmp_path / "b.csv").write_text("AUDIO , Text\na.wav,Nej.\n")
    assert [row.text for row in rows_of(tmp_path / "a.tsv", tmp_path)] == ["Å, ja."]
    assert [row.text for row in rows_of(tmp_path / "b.csv", tmp_path)] == ["Nej."]


def test_table_of_a_release_asks_for_its_folder(release: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="for a Common Voice release give its folder"):
        rows_of(release / "train.tsv", tmp_path)
