"""Common Voice releases, with the oddities that real ones have."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from services.contract.errors import DataError
from tests.training.prepare.conftest import read_tsv, write_tsv
from tests.training.prepare.reading import parted, rows_of
from training.prepare import common_voice


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


def test_tarball_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(" ".join(str(number) for number in range(50_000)))
    with tarfile.open(tmp_path / "cv.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "train.tsv", "cv/sv-SE/train.tsv")
    raw = bytearray((tmp_path / "cv.tar.gz").read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 2000] = b"\xff" * 2000
    (tmp_path / "cv.tar.gz").write_bytes(raw)
    with pytest.raises(DataError, match="cannot be unpacked .*; download it again"):
        rows_of(tmp_path / "cv.tar.gz", tmp_path / "scratch")


def test_tarball_with_a_damaged_header_is_refused(release: Path, tmp_path: Path) -> None:
    """Python's tarfile takes such a header for the end, and what lies behind it would be lost."""
    with tarfile.open(tmp_path / "cv.tar", "w") as tar:
        tar.add(release, "cv/sv-SE")
    with tarfile.open(tmp_path / "cv.tar") as tar:
        last = tar.getmembers()[-1]
    raw = bytearray((tmp_path / "cv.tar").read_bytes())
    raw[last.offset] ^= 1
    (tmp_path / "cv.tar.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(DataError, match="a header within it is damaged.*; download it again"):
        rows_of(tmp_path / "cv.tar.gz", tmp_path / "scratch")


def test_tarball_is_unpacked_once_and_another_one_again(release: Path, tmp_path: Path) -> None:
    """A run stopped on the wrong tarball must not lend its clips to the right one."""
    with tarfile.open(tmp_path / "wrong.tar.gz", "w:gz") as tar:
        tar.add(release, "cv/fi")
    with tarfile.open(tmp_path / "right.tar.gz", "w:gz") as tar:
        tar.add(release, "cv/sv-SE")
    unpacked = common_voice.unpack(tmp_path / "wrong.tar.gz", tmp_path / "scratch")
    (unpacked / "mark").touch()
    common_voice.unpack(tmp_path / "wrong.tar.gz", tmp_path / "scratch")
    assert (unpacked / "mark").exists()
    common_voice.unpack(tmp_path / "right.tar.gz", tmp_path / "scratch")
    assert {path.name for path in (unpacked / "cv").iterdir()} == {"sv-SE"}
    assert not (unpacked / "mark").exists()


def test_download_that_is_no_tarball_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cv.tar.gz").write_text("<html>log in</html>")
    with pytest.raises(DataError, match=r"cannot be unpacked \(.*\); download it again") as told:
        rows_of(tmp_path / "cv.tar.gz", tmp_path)
    assert "\n" not in told.value.message


def test_details_that_differ_between_releases_are_no_obstacle(release: Path) -> None:
    clip = read_tsv(release / "train.tsv")[0]["path"]
    for column in ("clip", "filename"):
        table = f"{column}\tduration[ms]\r\n{clip}\t4300\r\n"
        (release / "clip_durations.tsv").write_text(table)
        rows, _ = parted(common_voice.read(release, extra=False))
        assert [row.released_duration_s for row in rows if row.released_duration_s] == [4.3]
    content = (release / "train.tsv").read_text().replace("\n", "\r\n")
    (release / "train.tsv").write_text(f"\ufeff{content}\r\n\r\n", newline="")
    assert parted(common_voice.read(release, extra=False)) == (rows, {})


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("validated.tsv", "has no train.tsv, as delta segments have none: download the whole"),
        ("ss-corpus-sv-SE.tsv", "is a Spontaneous Speech release: write a manifest"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_download_of_another_kind_is_told(
    release: Path, tmp_path: Path, left: str, message: str, packed: bool
) -> None:
    for split in ("train", "dev", "test"):
        (release / f"{split}.tsv").unlink()
    (release / "validated.tsv").rename(release / left)
    source = release.parent
    if packed:
        source = tmp_path / "cv.tar.gz"
        with tarfile.open(source, "w:gz") as tar:
            tar.add(release.parent, release.parent.name)
    with pytest.raises(DataError, match=f"{source}: {message}"):
        rows_of(source, tmp_path / "scratch")
