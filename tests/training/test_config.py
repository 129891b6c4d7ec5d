"""Config files: typed, unknown keys refused, every file in configs/ valid."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.contract.errors import ConfigError
from training.__main__ import main
from training.config import load_config, save_config
from training.time_limit import EXIT_RESUMABLE

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert load_config(path, []).train.max_steps > 0


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    content = {
        "name": "t",
        "work_dir": str(tmp_path / "work"),
        "prepared": "nowhere",
        "model": {"base": "openai/whisper-tiny"},
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.learning_rat=1", "train.learning_rat: no such key; did you mean learning_rate?"),
        ("model.lora.rnk=3", "model.lora.rnk: no such key; did you mean rank?"),
        ("train.mix.x=1", "train.mix.x: no such key; known here: joined_share, joined_min_s,"),
        ("modle=1", "modle: no such key; did you mean model?"),
        ("model.language=no", "model.language: YAML reads no, yes, on and off as false and true;"),
    ],
)
def test_wrong_key_or_value_is_named_with_what_was_meant(
    config_file: Path, override: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{config_file}: {told}")):
        load_config(config_file, [override])


def test_misspelt_key_is_told_before_the_one_it_leaves_missing(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: t\nwork_dir: w\nprepared: p\nmodle: {base: x}\n")
    with pytest.raises(ConfigError, match="modle: no such key; did you mean model"):
        load_config(path, [])


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (KeyboardInterrupt(), EXIT_RESUMABLE, "stopped: run the same command again"),
        (OSError(errno.ENOSPC, "No space left on device", "x.tar"), 1, "error: x.tar: No space"),
        (OSError(errno.EROFS, "Read-only file system"), 1, "error: Read-only file system"),
    ],
)
def test_what_ends_a_stage_is_told_in_one_line(
    config_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    told: str,
) -> None:
    def stage(*arguments: object) -> None:
        raise raised

    monkeypatch.setattr("training.corpus.prepare", stage)
    assert main(["prepare", "--config", str(config_file)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(told)


def test_defects_keep_their_trace(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(*arguments: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    monkeypatch.setattr("training.corpus.prepare", stage)
    with pytest.raises(FileNotFoundError):
        main(["prepare", "--config", str(config_file)])


def test_sigterm_ends_a_stage_as_ctrl_c_does(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stage = lambda *arguments: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr("training.corpus.prepare", stage)
    assert main(["prepare", "--config", str(config_file)]) == EXIT_RESUMABLE
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--set", "x=1"], ["prepare"], ["deploy"], ["rollback"]]
)
def test_command_that_does_not_train_waits_for_no_library_of_training(
    config_file: Path, tmp_path: Path, arguments: list[str]
) -> None:
    content = yaml.safe_load(config_file.read_text()) | {"deploy": {"models_dir": str(tmp_path)}}
    config_file.write_text(yaml.safe_dump(content))
    told = (
        "import atexit, sys; from training.__main__ import main\n"
        "heavy = {'torch', 'transformers', 'ctranslate2'}\n"
        "atexit.register(lambda: print('loaded', *heavy & {*sys.modules}))\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", told, *arguments, "--config", str(config_file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].split() == ["loaded"], done.stderr


def test_bad_value_is_named(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.batch_size"):
        load_config(config_file, ["train.batch_size=none"])


@pytest.mark.parametrize(
    "override",
    ["adam_beta2=1.0", "adam_beta2=-0.1", "weight_decay=-1", "decay_steps=-5", "splits=[]"],
)
def test_value_that_no_run_can_have_is_told_before_training(
    config_file: Path, override: str
) -> None:
    with pytest.raises(ConfigError, match=rf"train\.{override.partition('=')[0]}: .* should "):
        load_config(config_file, [f"train.{override}"])


@pytest.mark.parametrize("override", ["name=vårt labb", "name=lab/small", "convert.version=1/2"])
def test_name_that_no_bundle_can_have_is_told_before_training(
    config_file: Path, override: str
) -> None:
    with pytest.raises(ConfigError, match=r"convert\.(name|version): .*pattern"):
        load_config(config_file, [override])


def test_width_that_heads_cannot_share_is_named(config_file: Path) -> None:
    scratch = ["model.base=null", "model.tokenizer=models/demo", "model.scratch.attention_heads=3"]
    with pytest.raises(ConfigError, match=r"model\.scratch: .*multiple of `attention_heads`"):
        load_config(config_file, scratch)


def test_override_reaches_a_nested_key(config_file: Path) -> None:
    config = load_config(config_file, ["train.mix.joined_share=0.25", "seed=7"])
    assert config.train.mix.joined_share == 0.25 and config.seed == 7


@pytest.mark.parametrize("override", ["train", "name.x=1", "train.mix=[", "=1"])
def test_override_that_fits_nowhere_is_refused(config_file: Path, override: str) -> None:
    with pytest.raises(ConfigError):
        load_config(config_file, [override])


def test_home_folder_is_written_out_wherever_a_path_stands(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    values = ("work_dir=~/runs", "prepared=~/sv.tar.gz", "model.base=~/base")
    config = load_config(config_file, [*values, "evaluate.word_times=~/words.jsonl"])
    assert config.work_dir == tmp_path / "runs"
    assert config.evaluate.word_times == tmp_path / "words.jsonl"
    assert (config.prepared, config.model.base) == (f"{tmp_path}/sv.tar.gz", f"{tmp_path}/base")


def test_section_given_twice_is_refused_and_merged_keys_are_not(config_file: Path) -> None:
    text = config_file.read_text()
    config_file.write_text(f"{text}train: &slow\n  seed: 1\ntrain:\n  batch_size: 3\n")
    with pytest.raises(ConfigError, match=r"the key train is there twice in .*, line \d+"):
        load_config(config_file, [])
    merged = "train: {<<: {max_steps: 9, batch_size: 2}, batch_size: 3}\n"
    config_file.write_text(text + merged)
    train = load_config(config_file, []).train
    assert (train.max_steps, train.batch_size) == (9, 3)


@pytest.mark.parametrize("content", ["", "- a", "a: [", "\x00"])
def test_file_that_is_no_config_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError):
        load_config(path, [])


@pytest.mark.parametrize("key", ["evaluate.splits", "evaluate.contexts"])
def test_evaluation_of_nothing_is_refused_before_any_training(config_file: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .*at least 1 item"):
        load_config(config_file, [f"{key}=[]"])


def test_resolved_config_loads_as_the_same(config_file: Path, tmp_path: Path) -> None:
    config = load_config(config_file, ["train.learning_rate=1e-3"])
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml", []) == config


def test_error_is_one_line_and_exit_code_1(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--config", str(config_file), "--set", "bogus=1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "bogus" in error


def test_unwritable_work_dir_is_an_error(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["train", "--config", str(config_file), "--set", f"work_dir={tmp_path}/file/work"]
    assert main(arguments) == 1


@pytest.mark.parametrize("value", ["2x", "h", "1.2.3h"])
def test_bad_time_is_a_usage_error(config_file: Path, value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", str(config_file), "--max-time", value])
    assert stop.value.code == 2
