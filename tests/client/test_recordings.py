import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.client.recordings import (
    Recording,
    find,
    outputs,
    parse_formats,
    refuse_overwriting,
    undone,
)
from services.contract.errors import InvalidRequestError
from services.contract.schema import TranscriptFormat

Targets = dict[TranscriptFormat, Path | None]


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(recordings: list[Recording]) -> list[str]:
    return [recording.name for recording in recordings]


def test_a_folder_gives_its_recordings_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "b.mp3", "sub/a.WAV", "notes.txt", ".hidden/c.wav", "sub/.d.wav")
    assert names(find([str(tmp_path)])) == ["b.mp3", "sub/a.WAV"]


def test_a_hidden_parent_of_the_folder_does_not_matter(tmp_path: Path) -> None:
    make(tmp_path, ".cache/calls/a.wav")
    assert names(find([str(tmp_path / ".cache" / "calls")])) == ["a.wav"]


def test_a_pattern_keeps_the_path_below_its_fixed_part(tmp_path: Path) -> None:
    make(tmp_path, "mon/x.wav", "tue/x.wav", "tue/y.txt")
    assert names(find([str(tmp_path / "*" / "*")])) == ["mon/x.wav", "tue/x.wav"]


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, "odd[1].bin")
    assert names(find([str(tmp_path / "odd[1].bin")])) == ["odd[1].bin"]


def test_a_recording_named_twice_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    assert len(find([str(tmp_path), str(tmp_path / "a.wav")])) == 1


def test_a_recording_goes_by_its_own_name_and_not_by_that_of_a_link(tmp_path: Path) -> None:
    make(tmp_path, "plain.wav", "z.wav")
    (tmp_path / "link.wav").symlink_to("plain.wav")
    assert names(find([str(tmp_path)])) == ["plain.wav", "z.wav"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.wav", "locked/b.wav", ".trash/c.wav")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name in ("locked", ".trash"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(find([str(tmp_path)])) == ["a.wav", "locked"]
    with pytest.raises(InvalidRequestError, match="Cannot read .*locked: Permission denied"):
        find([str(tmp_path / "locked")])


def test_a_file_that_cannot_be_looked_at_fails_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be listed but not entered. The superuser may do all: simulated."""
    make(tmp_path, "a.wav", "sub/b.wav")
    stat = Path.stat

    def guarded(self: Path, **options: bool) -> os.stat_result:
        if self.parent.name == "sub":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", guarded)
    assert names(find([str(tmp_path)])) == ["a.wav", "sub/b.wav"]


def test_a_link_that_leads_back_names_nothing(tmp_path: Path) -> None:
    make(tmp_path, "day/x.wav")
    (tmp_path / "day" / "again").symlink_to("..")
    (tmp_path / "day" / "self.wav").symlink_to("self.wav")
    assert names(find([str(tmp_path / "**" / "*.wav")])) == ["day/x.wav"]


@pytest.mark.parametrize("suffix", ["au", "awb", "mts", "spx", "wmv"])
def test_what_the_service_reads_is_found_in_a_folder(suffix: str, tmp_path: Path) -> None:
    make(tmp_path, f"a.{suffix}")
    assert names(find([str(tmp_path)])) == [f"a.{suffix}"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for argument, why in ((tmp_path / "pipe.wav", "is no file"), (tmp_path / ("x" * 300), "long")):
        with pytest.raises(InvalidRequestError, match=why):
            find([str(argument)])


def test_an_argument_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="nowhere"):
        find([str(tmp_path / "nowhere" / "*.wav")])


def test_an_empty_name_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `whisper-sv transcribe "$FOLDER"` where nothing set FOLDER."""
    make(tmp_path, "a.wav")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequestError, match="A name is empty"):
        find([""])
    assert names(find(["."])) == ["a.wav"]


def test_transcripts_go_beside_their_recordings_or_below_the_folder(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "in" / "sub" / "a.wav", "sub/a.wav")
    beside = outputs([recording], ["srt"], None)
    below = outputs([recording], ["text", "srt"], tmp_path / "out")
    assert beside[recording] == {"srt": tmp_path / "in" / "sub" / "a.srt"}
    assert below[recording]["text"] == tmp_path / "out" / "sub" / "a.txt"


def test_equal_stems_keep_their_extension(tmp_path: Path) -> None:
    recordings = [Recording(tmp_path / name, name) for name in ("a.wav", "a.mp3", "b.wav")]
    written = [files["srt"].name for files in outputs(recordings, ["srt"], None).values()]
    assert written == ["a.wav.srt", "a.mp3.srt", "b.srt"]


def test_two_transcripts_in_one_file_are_refused(tmp_path: Path) -> None:
    recordings = [Recording(tmp_path / day / "x.wav", "x.wav") for day in ("mon", "tue")]
    with pytest.raises(InvalidRequestError, match="both be written"):
        outputs(recordings, ["srt"], tmp_path / "out")


def test_a_recording_is_done_until_it_changes(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "a.srt")
    recording = Recording(tmp_path / "a.wav", "a.wav")
    srt: Targets = {"srt": tmp_path / "a.srt"}
    vtt: Targets = {"vtt": tmp_path / "a.vtt"}
    os.utime(tmp_path / "a.wav", (100, 100))
    os.utime(tmp_path / "a.srt", (200, 200))
    assert undone(recording, srt) == {}
    assert undone(recording, srt | vtt) == vtt
    assert undone(recording, {"srt": None}) == {"srt": None}, "it is to be printed"
    os.utime(tmp_path / "a.wav", (300, 300))
    assert undone(recording, srt) == srt
    too_long: Targets = {"srt": tmp_path / ("x" * 300)}
    assert undone(recording, too_long) == too_long
    (tmp_path / "a.wav").unlink()
    assert undone(recording, srt) == srt, "the run says that it is gone"


def test_a_file_that_is_there_is_refused_by_its_name(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    refuse_overwriting([None, tmp_path / "a.srt", tmp_path / ("x" * 300)])
    with pytest.raises(InvalidRequestError, match=r"a\.txt is there .* --force"):
        refuse_overwriting([tmp_path / "a.srt", tmp_path / "a.txt"])


def test_formats_are_read_from_one_word() -> None:
    assert parse_formats("srt, txt,srt") == ["srt", "text"]
    with pytest.raises(InvalidRequestError, match="docx"):
        parse_formats("docx")
