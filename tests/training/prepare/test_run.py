"""The whole of prepare: same bytes each time, killed or not; every bad input a clear error."""

import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest

from services.contract.errors import DataError, OutputError, TokenizerError
from tests.training.prepare.conftest import read_tsv, write_tsv
from training.prepare.config import PrepareConfig
from training.prepare.manifest import PreparedManifest
from training.prepare.run import prepare
from training.prepare.shards import PreparedCorpus
from training.prepare.workplace import Workplace


def run(release: Path, out: Path, **options: object) -> PreparedManifest:
    options = {"workers": 1, "clips_per_shard": 4, **options}
    return prepare(PrepareConfig.model_validate({"source": release, **options}), str(out))


def sha256s(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_release_becomes_a_corpus(release: Path, tmp_path: Path) -> None:
    manifest = run(release, tmp_path / "out")
    corpus = PreparedCorpus.open(tmp_path / "out")
    assert corpus.manifest == manifest
    assert {name: split.n_clips for name, split in manifest.splits.items()} == {
        "test": 4, "dev": 4, "train": 10, "extra": 6,
    }  # fmt: skip
    for split in manifest.splits:
        for clip in corpus.clips(split):
            samples = corpus.samples(clip)
            assert samples.dtype == np.float32
            assert len(samples) == round(clip.duration_s * 16_000)
            assert clip.start_s is not None and clip.end_s is not None
            assert 0 <= clip.start_s < clip.end_s <= clip.duration_s + 0.01
            assert clip.text.startswith("Nummer")


def test_progress_is_told_to_its_end(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(release, tmp_path / "out")
    told = capsys.readouterr().err.splitlines()
    assert told == ["reading clips: 24 of 24", "preparing clips: 24 of 24"]


def test_same_input_gives_the_same_bytes(release: Path, tmp_path: Path) -> None:
    run(release, tmp_path / "one", export=tmp_path / "one.tar.gz")
    (tmp_path / "else").mkdir()
    moved = release.parent.rename(tmp_path / "else" / "cv-corpus-99.0")
    run(moved, tmp_path / "two", workers=2, export=tmp_path / "two.tar.gz")
    assert sha256s(tmp_path / "one") == sha256s(tmp_path / "two")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_split_hash_names_the_test_set_and_nothing_else(release: Path, tmp_path: Path) -> None:
    one = run(release, tmp_path / "one")
    rows = read_tsv(release / "train.tsv")
    write_tsv(release / "train.tsv", rows[1:])
    two = run(release, tmp_path / "two", clips_per_shard=3)
    assert one.splits["test"].sha256 == two.splits["test"].sha256
    assert one.splits["train"].sha256 != two.splits["train"].sha256
    rows = read_tsv(release / "test.tsv")
    rows[0]["sentence"] = "Något annat."
    write_tsv(release / "test.tsv", rows)
    three = run(release, tmp_path / "three")
    assert two.splits["test"].sha256 != three.splits["test"].sha256


def test_tarball_gives_what_its_folder_gives(release: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cv.tar.gz", "w:gz") as tar:
        tar.add(release, "cv-corpus-99.0/sv-SE")
    run(release, tmp_path / "one")
    run(tmp_path / "cv.tar.gz", tmp_path / "two")
    assert sha256s(tmp_path / "one") == sha256s(tmp_path / "two")


def test_export_of_another_corpus_is_not_taken_for_this_one(release: Path, tmp_path: Path) -> None:
    target = tmp_path / "sv.tar.gz"
    run(release, tmp_path / "one", export=target)
    packed = target.read_bytes()
    run(release, tmp_path / "one", export=target)  # already there
    other = {"export": target, "labels": {"final_period": True}}
    with pytest.raises(DataError, match="sv.tar.gz: is no archive of this corpus; .*overwrite"):
        run(release, tmp_path / "two", **other)
    assert target.read_bytes() == packed
    manifest = run(release, tmp_path / "two", **other, overwrite=True)
    assert PreparedCorpus.open(target, cache_dir=tmp_path / "cache").manifest == manifest


RESUME = """
import sys
from training.prepare.config import PrepareConfig
from training.prepare.run import prepare
if __name__ == "__main__":
    config = PrepareConfig(source=sys.argv[1], clips_per_shard=1, workers=int(sys.argv[3]))
    prepare(config, sys.argv[2])
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_killed_at_any_moment_continues_to_the_same_bytes(
    release: Path, tmp_path: Path, workers: int
) -> None:
    run(release, tmp_path / "whole", clips_per_shard=1)
    script = tmp_path / "resume.py"
    script.write_text(RESUME)
    out = tmp_path / "killed"
    command = [sys.executable, str(script), str(release), str(out), str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    n_made: list[int] = []
    # Each process may have one shard whose record it has not written yet.
    for goal in sorted(random.sample(range(3, 24), 3)):
        with subprocess.Popen(command, env=environment, start_new_session=True) as process:
            while process.poll() is None and len(list(out.glob("*.tar"))) < goal:
                time.sleep(0.002)  # a moment to kill at, no event to wait for
            process.kill()
        n_made.append(len(list((out / ".partial" / "shards").glob("*.json"))))
        assert not (out / "manifest.json").exists()
    assert n_made == sorted(n_made) and n_made[0] > 0
    subprocess.run(command, env=environment, check=True)
    assert sha256s(tmp_path / "whole") == sha256s(out)


def test_processes_end_with_a_killed_parent(release: Path, tmp_path: Path) -> None:
    script = tmp_path / "resume.py"
    script.write_text(RESUME)
    command = [sys.executable, str(script), str(release), str(tmp_path / "out"), "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        while not list((tmp_path / "out").glob("*.tar")):
            time.sleep(0.01)
        process.kill()
        assert process.stdout is not None
        process.stdout.read()  # ends when the last process that holds it has ended


def test_run_again_changes_nothing(release: Path, tmp_path: Path) -> None:
    first = run(release, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert run(release, tmp_path / "out") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_other_settings_do_not_replace_a_corpus(release: Path, tmp_path: Path) -> None:
    run(release, tmp_path / "out")
    before = sha256s(tmp_path / "out")
    with pytest.raises(DataError, match="another corpus; choose another folder"):
        run(release, tmp_path / "out", clips_per_shard=5)
    assert {
        name: sha for name, sha in sha256s(tmp_path / "out").items() if name[0] != "."
    } == before
    run(release, tmp_path / "out", clips_per_shard=5, overwrite=True)
    run(release, tmp_path / "fresh", clips_per_shard=5)
    assert sha256s(tmp_path / "out") == sha256s(tmp_path / "fresh")


def test_input_that_changed_after_a_kill_starts_over(release: Path, tmp_path: Path) -> None:
    (release / "clips" / "common_voice_sv-SE_023.mp3").write_bytes(b"no audio")
    with pytest.raises(DataError, match="1 of 24 rows"):
        run(release, tmp_path / "out", clips_per_shard=1, max_bad_share=0.01)
    assert list((tmp_path / "out" / ".partial" / "shards").iterdir())
    for name in ("train.tsv", "validated.tsv"):
        write_tsv(release / name, read_tsv(release / name)[:-1])
    run(release, tmp_path / "out", clips_per_shard=1)
    run(release, tmp_path / "fresh", clips_per_shard=1)
    assert sha256s(tmp_path / "out") == sha256s(tmp_path / "fresh")


def test_bad_clips_are_reported_and_the_rest_goes_on(release: Path, tmp_path: Path) -> None:
    (release / "clips" / "common_voice_sv-SE_008.mp3").unlink()
    (release / "clips" / "common_voice_sv-SE_009.mp3").write_bytes(b"not an mp3" * 500)
    with (release / "train.tsv").open("a") as file:
        file.write("only\tthree\tcolumns\n")
    manifest = run(release, tmp_path / "out", max_bad_share=0.2)
    assert manifest.splits["train"].n_clips == 8
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    bad = {example["where"]: example["why"] for example in report["dropped"]["bad"]["examples"]}
    assert bad["train.tsv:12"] == "3 columns where the header has 7"
    assert "No such file" in bad["train.tsv:2"]
    assert "cannot be decoded" in bad["train.tsv:3"]
    assert report["dropped"]["bad"]["n"] == 3


def test_too_many_bad_clips_stop_the_run(release: Path, tmp_path: Path) -> None:
    for number in range(8, 12):
        clip = release / "clips" / f"common_voice_sv-SE_{number:03d}.mp3"
        clip.write_bytes(b"no audio" * number)
    with pytest.raises(DataError, match=r"4 of 24 rows.*prepare.max_bad_share.*train.tsv:2"):
        run(release, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_truncated_clip_is_told_by_its_released_duration(release: Path, tmp_path: Path) -> None:
    clip = release / "clips" / "common_voice_sv-SE_010.mp3"
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    (release / "clip_durations.tsv").write_text(f"clip\tduration[ms]\n{clip.name}\t4000\n")
    manifest = run(release, tmp_path / "out", max_bad_share=0.2)
    assert manifest.splits["train"].n_clips == 9


def test_corpus_goes_to_a_url(release: Path, tmp_path: Path) -> None:
    url = "memory://prepared/sv"
    options = {"scratch_dir": tmp_path / "scratch", "export": tmp_path / "sv.tar.gz"}
    remote = PrepareConfig(source=release, workers=1, clips_per_shard=4, **options)  # type: ignore[arg-type]
    manifest = prepare(remote, url)
    assert not list((tmp_path / "scratch").iterdir())
    corpus = PreparedCorpus.open(url)
    assert corpus.manifest == manifest == run(release, tmp_path / "local")
    assert len(corpus.samples(corpus.clips("test")[0])) > 16_000
    assert prepare(remote, url) == manifest
    files = fsspec.filesystem("memory").ls("/prepared/sv", detail=False)
    assert len(files) == len(list((tmp_path / "local").iterdir()))
    assert PreparedCorpus.open(tmp_path / "sv.tar.gz", cache_dir=tmp_path).manifest == manifest


def test_text_that_does_not_fit_the_decoder_is_dropped(
    release: Path, tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    rows = read_tsv(release / "train.tsv")
    rows[2]["sentence"] = "trehundrafyrtiofem " * 60
    write_tsv(release / "train.tsv", rows)
    manifest = run(release, tmp_path / "out", tokenizer=str(tiny_checkpoint_dir))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert manifest.filters["tokens"].n_dropped == 1
    (example,) = report["dropped"]["tokens"]["examples"]
    assert example["where"] == "train.tsv:4" and "at most 216 fit" in example["why"]
    assert report["notes"] == []


def test_tokenizer_that_is_not_there_is_a_clear_error(release: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="no Whisper tokenizer at"):
        run(release, tmp_path / "out", tokenizer=str(tmp_path / "missing"))


def test_folder_with_other_files_is_left_alone(release: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not empty and holds no prepared corpus"):
        run(release, release)
    assert (release / "train.tsv").exists() and not (release / ".partial").exists()


def test_unwritable_output_is_a_clear_error(release: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written: Not a directory; make room or"):
        run(release, tmp_path / "file" / "out")


def test_two_at_once_do_not_write_into_each_other(release: Path, tmp_path: Path) -> None:
    other = Workplace(str(tmp_path / "out"), None)
    other.open()
    with pytest.raises(DataError, match="another prepare is at work there"):
        run(release, tmp_path / "out")
    other.release()
    assert run(release, tmp_path / "out").splits["train"].n_clips == 10


FULL = """
import resource, sys
from services.contract.errors import OutputError
from training.prepare.config import PrepareConfig
from training.prepare.run import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    prepare(PrepareConfig(source=sys.argv[1], clips_per_shard=4, workers=1), sys.argv[2])
except OutputError as error:
    sys.exit(f"error: {error}")
"""


def test_disk_that_fills_up_stops_the_run_and_the_next_continues(
    release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL, str(release), str(out), "200000"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    told = ended.stderr.splitlines()[-1]
    assert told.startswith(f"error: {out} cannot be written: File too large; make room")
    assert not (out / "manifest.json").exists()
    run(release, out)
    run(release, tmp_path / "fresh")
    assert sha256s(out) == sha256s(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("source", "message"),
    [("missing", "does not exist; set prepare.source"), ("empty", "holds no audio files")],
)
def test_source_that_is_no_source(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        run(tmp_path / source, tmp_path / "out")


def test_corpus_without_a_clip_left_is_refused(release: Path, tmp_path: Path) -> None:
    for path in release.glob("*.tsv"):
        write_tsv(path, [])
    with pytest.raises(DataError, match="no clip is left of 0 rows: the source is empty"):
        run(release, tmp_path / "out")


def test_summary_says_what_was_dropped_and_why(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_tsv(release / "train.tsv")
    rows[0]["down_votes"] = "3"
    write_tsv(release / "train.tsv", rows)
    manifest = run(release, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "votes" in printed and "train.tsv:2: 2 votes for, 3 against" in printed
    assert "token counts were not checked" in printed
    assert manifest.filters["votes"].n_dropped == 1
