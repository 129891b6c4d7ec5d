import csv
import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.contract.errors import DataError, OutputError
from training.prepare.config import FilterConfig, PrepareConfig
from training.prepare.run import prepare
from training.synthesize import batches
from training.synthesize.config import SynthesizeConfig
from training.synthesize.corpus import COLUMNS, synthesize

RUN = (
    "import sys; from pathlib import Path\n"
    "from training.synthesize import batches\n"
    "from training.synthesize.config import SynthesizeConfig\n"
    "from training.synthesize.corpus import synthesize\n"
    "if __name__ == '__main__':\n"
    "    batches._BATCH_CLIPS = 8\n"
    "    synthesize(SynthesizeConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))\n"
)


def rows(out: Path, table: str) -> list[dict[str, str]]:
    with (out / "sv-SE" / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def contents(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.parent.name != "records"
    }


@pytest.fixture
def corpus(small: SynthesizeConfig, tmp_path: Path) -> Path:
    synthesize(small, tmp_path / "corpus")
    return tmp_path / "corpus"


def test_layout_is_common_voice(small: SynthesizeConfig, corpus: Path) -> None:
    assert list(rows(corpus, "train.tsv")[0]) == COLUMNS
    counts = {split: len(rows(corpus, f"{split}.tsv")) for split in ("train", "dev", "test")}
    assert counts == {"train": 16, "dev": 4, "test": 4}
    assert len(rows(corpus, "validated.tsv")) == 24
    for row in rows(corpus, "validated.tsv"):
        assert row["sentence_domain"] and row["client_id"] and row["locale"] == "sv-SE"


def test_clips_are_speech_of_the_told_length(corpus: Path) -> None:
    for row in rows(corpus, "clip_durations.tsv"):
        samples, sample_rate = soundfile.read(corpus / "sv-SE" / "clips" / row["clip"])
        assert sample_rate == 16_000 and samples.ndim == 1
        assert abs(1000 * len(samples) / sample_rate - int(row["duration[ms]"])) <= 1
        assert np.abs(samples).max() > 0.02


def test_word_times_are_the_words_of_the_sentence(corpus: Path) -> None:
    sentences = {row["path"]: row["sentence"] for row in rows(corpus, "validated.tsv")}
    lines = (corpus / "sv-SE" / "word_times.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(sentences)
    for record in map(json.loads, lines):
        spoken = [word["word"] for word in record["words"]]
        assert spoken == [word.strip(".,?!") for word in sentences[record["path"]].split()]
        assert 0 < record["words"][0]["start"] < record["words"][-1]["end"] < record["duration_s"]


def test_first_word_starts_with_the_sound(corpus: Path) -> None:
    lines = (corpus / "sv-SE" / "word_times.jsonl").read_text(encoding="utf-8").splitlines()
    for record in map(json.loads, lines):
        if "_test_" in record["path"]:
            samples, sample_rate = soundfile.read(corpus / "sv-SE" / "clips" / record["path"])
            onset = int(np.argmax(np.abs(samples) > 0.02 * np.abs(samples).max())) / sample_rate
            assert abs(onset - record["words"][0]["start"]) < 0.12


def test_same_config_same_bytes_whatever_the_number_of_processes(
    small: SynthesizeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_BATCH_CLIPS", 8)
    synthesize(small.model_copy(update={"n_processes": 1}), tmp_path / "one")
    synthesize(small.model_copy(update={"n_processes": 3}), tmp_path / "three")
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


@pytest.mark.slow
def test_killed_and_run_again_it_ends_with_the_same_bytes(
    small: SynthesizeConfig, tmp_path: Path
) -> None:
    config = small.model_copy(update={"n_train": 24, "n_processes": 1})
    command = [sys.executable, "-c", RUN, config.model_dump_json()]
    out = tmp_path / "killed"
    process = subprocess.Popen([*command, str(out)], start_new_session=True)
    while not list(out.glob("records/*.jsonl")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("records/*.jsonl")}
    assert not (out / "sv-SE" / "train.tsv").exists()
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_ctrl_c_leaves_the_batch_in_hand_whole(small: SynthesizeConfig, tmp_path: Path) -> None:
    """The terminal signals every process; one that spoke would lose sound and go on."""
    values = {"n_train": 200, "n_dev": 0, "n_test": 0, "n_processes": 1}
    config = small.model_copy(update=values)
    out = tmp_path / "stopped"
    command = [sys.executable, "-c", RUN.replace("8", "200"), config.model_dump_json(), str(out)]
    with subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(out.glob("sv-SE/clips/*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate()
    assert [path.name for path in out.glob("records/*.jsonl")] == ["00000000.jsonl"]
    assert told.count("KeyboardInterrupt") == 1  # this script's own; the command says "stopped"


def test_another_config_does_not_mix_in(small: SynthesizeConfig, corpus: Path) -> None:
    before = contents(corpus)
    with pytest.raises(DataError, match="another corpus"):
        synthesize(small.model_copy(update={"seed": 2}), corpus)
    assert contents(corpus) == before


def test_unwritable_output(small: SynthesizeConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        synthesize(small, tmp_path / "file" / "corpus")


def test_noise_clips_have_an_empty_sentence(small: SynthesizeConfig, tmp_path: Path) -> None:
    config = small.model_copy(update={"noise_share": 0.5, "n_dev": 0, "n_test": 0})
    synthesize(config, tmp_path / "corpus")
    silent = [row for row in rows(tmp_path / "corpus", "train.tsv") if not row["sentence"]]
    assert len(silent) == 8
    assert {row["sentence_domain"] for row in silent} == {"noise"}


@pytest.mark.parametrize("audio_format", ["mp3", "wav"])
def test_other_formats(small: SynthesizeConfig, tmp_path: Path, audio_format: str) -> None:
    config = small.model_copy(update={"audio_format": audio_format, "n_train": 2})
    synthesize(config, tmp_path / "corpus")
    clips = list((tmp_path / "corpus" / "sv-SE" / "clips").iterdir())
    assert {clip.suffix for clip in clips} == {f".{audio_format}"}
    assert all(soundfile.info(clip).samplerate == 16_000 for clip in clips)


def test_quotes_in_own_sentences_stay(small: SynthesizeConfig, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text('Hon sa "hej" till mig.\nHan sa "nej" till mig.\n', encoding="utf-8")
    config = small.model_copy(
        update={"text_file": text, "dictionary_share": 0.0, "n_train": 2, "n_dev": 0, "n_test": 0}
    )
    synthesize(config, tmp_path / "corpus")
    assert all('"' in row["sentence"] for row in rows(tmp_path / "corpus", "train.tsv"))


def test_a_line_that_cannot_be_spoken_is_named(small: SynthesizeConfig, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("-\n")
    config = small.model_copy(
        update={"text_file": text, "dictionary_share": 0.0, "n_train": 1, "n_dev": 0, "n_test": 0}
    )
    with pytest.raises(DataError, match="says nothing for '-.'"):
        synthesize(config, tmp_path / "corpus")


def test_prepare_takes_every_clip(corpus: Path, tmp_path: Path) -> None:
    config = PrepareConfig(source=corpus, filters=FilterConfig(max_repeats_per_sentence=100))
    manifest = prepare(config, str(tmp_path / "prepared"))
    assert {name: split.n_clips for name, split in manifest.splits.items()} == {
        "train": 16,
        "dev": 4,
        "test": 4,
    }
