"""Checkpoints are complete or do not count, and the best one is never deleted."""

import json
from pathlib import Path

from training.train import checkpoints


def make(folder: Path, step: int, wer: float | None = None, *, complete: bool = True) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights" * step)
    (checkpoint / "optimizer.pt").write_bytes(b"state")
    if complete:
        checkpoints.mark_complete(checkpoint)
    if wer is not None:
        (checkpoint / checkpoints.EVALUATION).write_text(json.dumps({"wer": wer}))
    return checkpoint


def every(n_steps: int) -> checkpoints.IsRegular:
    return lambda step: step % n_steps == 0


def test_newest_complete_is_found_by_step_not_by_name(tmp_path: Path) -> None:
    make(tmp_path, 900)
    newest = make(tmp_path, 1000)
    assert checkpoints.newest_complete(tmp_path) == newest


def test_no_checkpoint_means_a_fresh_run(tmp_path: Path) -> None:
    assert checkpoints.newest_complete(tmp_path / "missing") is None


def test_half_written_newest_is_set_aside(tmp_path: Path) -> None:
    good = make(tmp_path, 4)
    make(tmp_path, 8, complete=False)
    assert checkpoints.newest_complete(tmp_path) == good
    assert (tmp_path / "checkpoint-8.broken").is_dir()
    assert not (tmp_path / "checkpoint-8").exists()


def test_truncated_and_missing_files_are_noticed(tmp_path: Path) -> None:
    good = make(tmp_path, 1)
    (make(tmp_path, 2) / "model.safetensors").write_bytes(b"short")
    (make(tmp_path, 3) / "optimizer.pt").unlink()
    (make(tmp_path, 4) / checkpoints.MARKER).write_text("{")
    assert checkpoints.newest_complete(tmp_path) == good
    assert len(list(tmp_path.glob("*.broken"))) == 3


def test_the_same_checkpoint_may_break_twice(tmp_path: Path) -> None:
    for _ in range(2):
        make(tmp_path, 8, complete=False)
        assert checkpoints.newest_complete(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-8.broken"]


def test_keep_leaves_the_last_and_the_best(tmp_path: Path) -> None:
    for step, wer in ((1, 0.5), (2, 0.2), (3, 0.4), (4, 0.3)):
        make(tmp_path, step, wer)
    checkpoints.keep(tmp_path, 1, every(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]


def test_checkpoint_of_a_stop_takes_the_place_of_no_regular_one(tmp_path: Path) -> None:
    for step in (2, 4, 6, 7):
        make(tmp_path, step)
    checkpoints.keep(tmp_path, 2, every(2))
    assert steps(checkpoints.complete_checkpoints(tmp_path)) == [4, 6, 7], "7 is to go on from"
    assert steps(checkpoints.last(tmp_path, 2, every(2))) == [4, 6]
    make(tmp_path, 8)
    checkpoints.keep(tmp_path, 2, every(2))
    assert steps(checkpoints.complete_checkpoints(tmp_path)) == [6, 8]


def steps(found: list[Path]) -> list[int]:
    return [checkpoints.step_of(path) for path in found]


def test_what_was_set_aside_goes_once_the_run_has_caught_up(tmp_path: Path) -> None:
    make(tmp_path, 4)
    make(tmp_path, 8, complete=False)
    checkpoints.newest_complete(tmp_path)
    make(tmp_path, 6)
    checkpoints.keep(tmp_path, 1, every(1))
    assert (tmp_path / "checkpoint-8.broken").is_dir()
    make(tmp_path, 8)
    checkpoints.keep(tmp_path, 1, every(1))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-8"]


def test_best_of_equals_is_the_newest_and_unrated_ones_do_not_count(tmp_path: Path) -> None:
    made = [make(tmp_path, 1, 0.2), make(tmp_path, 2, 0.2), make(tmp_path, 3)]
    assert checkpoints.best(made) == made[1]
    assert checkpoints.best(made[2:]) is None
