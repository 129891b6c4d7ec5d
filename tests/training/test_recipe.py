"""The whole way from text to a deployed bundle, with the real stages, on a few dozen clips."""

import json
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from services.contract.model_bundle import ModelBundle
from services.contract.model_registry import current
from tests.training.small_corpus import write_corpus
from tests.training.small_recipe import small_recipe
from training.__main__ import main
from training.time_limit import EXIT_RESUMABLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the recipe works."""
    return tmp_path_factory.mktemp("recipe")


@pytest.fixture(scope="module")
def config_file(folder: Path, tiny_checkpoint_dir: Path) -> Path:
    work = folder / "work"
    content = small_recipe(work, tiny_checkpoint_dir)
    speakers = {"n_train": 24, "n_dev": 6, "n_test": 6, "n_speakers": 4, "n_processes": 1}
    content["synthesize"] = speakers
    content["prepare"] = {"source": "corpus", "splits": {"extra": False}, "workers": 1}
    content["train"] |= {
        "mix": {"joined_share": 0.2, "joined_max_s": 6},
        "labels": {"segmentation": "short", "timestamps_share": 0.5},
        "word_times": str(work / "corpus" / "sv-SE" / "word_times.jsonl"),
    }
    content["evaluate"] |= {"language": "fi"}  # of other models
    content["deploy"] = {"models_dir": str(folder / "models")}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def finished(config_file: Path, folder: Path) -> list[str]:
    """The command of a recipe that had no time in any of its runs and yet came to its end."""
    command = ["recipe", "--config", str(config_file)]
    work, in_no_time = folder / "work", [*command, "--max-time", "0s"]
    results = (work / "run" / "final", work / "report" / "report.json", folder / "models")
    had: list[list[bool]] = []
    while (code := main(in_no_time)) == EXIT_RESUMABLE and len(had) < 30:
        had.append([path.exists() for path in results])
    assert code == 0
    stages = [stage for stage, _ in groupby(had)]
    assert stages == [[False] * 3, [True, False, False], [True, True, False]]
    assert had.count([True, False, False]) > 2, "of an evaluation, too, each call did a part"
    return command


def served(folder: Path) -> ModelBundle:
    bundle = current(folder / "models")
    assert bundle is not None
    return bundle


@pytest.mark.slow
def test_recipe_goes_from_text_to_a_deployed_bundle(finished: list[str], folder: Path) -> None:
    bundle = served(folder)
    assert bundle.name == "small" and bundle.languages == ("sv",)
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["base_model"]
    assert [result["n_clips"] for result in manifest["evaluations"]] == [6, 6]
    work = folder / "work"
    assert (work / "report" / "page.html").is_file()
    assert yaml.safe_load((work / "config.yaml").read_text())["train"]["max_steps"] == 4
    report = json.loads((work / "report" / "report.json").read_text())
    assert report["config"]["language"] == "sv", "what was trained is measured in its language"


@pytest.mark.slow
def test_finished_recipe_makes_nothing_twice(
    finished: list[str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = served(folder)
    made = (folder / "work" / "report" / "report.json").stat().st_mtime_ns
    assert main(finished) == 0
    for word in ("prepared", "trained", "evaluated", "converted", "deployed"):
        assert f"already {word}" in caplog.text
    assert (folder / "work" / "report" / "report.json").stat().st_mtime_ns == made
    assert served(folder) == before


@pytest.mark.slow
def test_report_of_another_model_leaves_that_of_the_trained_one_alone(
    finished: list[str], folder: Path, tiny_bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "work" / "report" / "report.json").read_bytes()
    options = ["--model", str(tiny_bundle_dir), "--set", "evaluate.language=sv"]
    assert main(["evaluate", *finished[1:], *options]) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert page.parent.name.startswith("report-") and "tiny@1" in page.read_text()
    assert (folder / "work" / "report" / "report.json").read_bytes() == before


@pytest.mark.slow
def test_libraries_say_nothing_of_their_own(
    finished: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((folder / "small.yaml").read_text())
    config |= {"synthesize": None, "prepared": str(folder / "work" / "prepared")}
    path = folder / "half.yaml"
    path.write_text(yaml.safe_dump(config | {"work_dir": str(folder / "half")}))
    halves = [f"{section}.quantization=float16" for section in ("convert", "evaluate")]
    options = ["--config", str(path), *(part for value in halves for part in ("--set", value))]
    for command in ("train", "evaluate", "convert"):
        assert main([command, *options]) == 0
    told = capfd.readouterr()
    lines = [line for line in told.err.splitlines() + told.out.splitlines() if line.strip()]
    ours = ("step ", "transcribing ", "decoding ", "checking ", str(folder / "half"))
    assert [line for line in lines if not line.startswith(ours)] == []


@pytest.mark.slow
def test_finished_recipe_does_not_undo_a_rollback(
    finished: list[str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, options = served(folder), finished[1:]
    assert main(["rollback", *options]) == 0
    assert main(finished) == 0
    assert current(folder / "models") != before
    assert f"{before.id} was deployed before and" in caplog.text
    assert main(["deploy", *options]) == 0
    assert served(folder) == before


@pytest.mark.slow
def test_damaged_bundle_is_made_again(finished: list[str], folder: Path) -> None:
    before, weights = served(folder), folder / "work" / "bundle" / "model.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert main(finished) == 0
    assert weights.read_bytes() == whole
    assert served(folder) != before


@pytest.mark.slow
def test_bundle_of_other_settings_is_made_again(finished: list[str], folder: Path) -> None:
    before = served(folder)
    assert main([*finished, "--set", "convert.parity_clips=1"]) == 0
    assert served(folder) != before


def test_split_that_a_later_stage_wants_is_missed_before_training(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [("Hej på dig.", 0.5, "talk")]
    write_corpus(tmp_path / "prepared", {"train": clips, "dev": clips})
    values = (f"prepared={tmp_path / 'prepared'}", f"work_dir={tmp_path}", "synthesize=null")
    command = ["recipe", "--config", str(config_file)]
    assert main([*command, *(part for value in values for part in ("--set", value))]) == 1
    assert "evaluate.splits: the corpus has no clip in test" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("evaluate", "nothing is trained in"),
        ("convert", "nothing is trained in"),
        ("deploy", "no bundle is in"),
    ],
)
def test_stage_before_its_turn_says_what_comes_first(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    values = ["--set", f"work_dir={tmp_path}"]
    assert main([command, "--config", str(config_file), *values]) == 1
    assert f"{told} {tmp_path} yet; run `" in capsys.readouterr().err


def test_stage_without_its_section_is_named(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", "--config", str(config_file)]) == 1
    assert "publish" in capsys.readouterr().err
