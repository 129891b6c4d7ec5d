"""Folders of recordings with texts beside them."""

from pathlib import Path

import pytest

from services.contract.errors import DataError
from tests.training.prepare.reading import parted, rows_of
from training.prepare import audio_folder


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


def test_folder_without_any_text_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp3").touch()
    with pytest.raises(DataError, match="no .txt beside .*train.tsv and clips/, or a manifest"):
        rows_of(tmp_path, tmp_path)


def test_case_of_names_and_hidden_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "A.WAV").touch()
    (tmp_path / "A.Txt").write_text("Hej.")
    for name in ("._A.WAV", ".cache/b.wav"):  # as some systems leave them behind
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows, bad = parted(audio_folder.read(tmp_path))
    assert [(row.audio, row.text) for row in rows] == [("A.WAV", "Hej.")] and not bad
