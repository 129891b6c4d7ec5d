from types import SimpleNamespace

import numpy as np
import pytest

from services.contract.schema import Lane, TranscriptionOptions
from services.worker import window_queue
from services.worker.decoding import WindowTask
from services.worker.window_queue import Fits, WindowQueue


def task(job: str, lane: Lane = Lane.INTERACTIVE, context: int = 600) -> WindowTask:
    features = np.zeros((80, context), np.float32)
    return WindowTask(job, lane, TranscriptionOptions(), features, context, "sv")


def up_to(limit: int) -> Fits:
    def fits(context: int, n_windows: int, n_company: int = 0) -> bool:
        return n_windows <= limit

    return fits


def jobs_of(batch: list[WindowTask]) -> list[str]:
    return [task.job for task in batch]


def test_jobs_take_turns() -> None:
    queue = WindowQueue()
    for job in ("a", "a", "a", "b", "c"):
        queue.push(task(job))
    assert jobs_of(queue.take(up_to(3))) == ["a", "b", "c"]
    assert jobs_of(queue.take(up_to(3))) == ["a", "a"]
    assert len(queue) == 0 and queue.take(up_to(3)) == []


def test_a_long_job_does_not_keep_its_place() -> None:
    queue = WindowQueue()
    for job in ("a", "a", "b", "b"):
        queue.push(task(job))
    assert [jobs_of(queue.take(up_to(1))) for _ in range(4)] == [["a"], ["b"], ["a"], ["b"]]


def test_only_windows_of_one_key_are_counted_for_a_batch() -> None:
    queue = WindowQueue()
    windows = [task("a"), task("b", Lane.BULK), task("c", context=300)]
    for each in windows:
        queue.push(each)
    assert [queue.n_like(each, 9) for each in windows] == [1, 2, 1], "people wait for people alone"
    assert queue.n_like(windows[1], 1) == 1


def test_interactive_goes_first_and_bulk_fills_up() -> None:
    queue = WindowQueue()
    for job, lane in (("slow", Lane.BULK), ("slow", Lane.BULK), ("quick", Lane.INTERACTIVE)):
        queue.push(task(job, lane))
    assert jobs_of(queue.take(up_to(2))) == ["quick", "slow"]


def test_how_much_bulk_work_comes_along_depends_on_how_many_people_wait() -> None:
    queue = WindowQueue()
    for job, lane in (("slow", Lane.BULK), ("a", Lane.INTERACTIVE), ("b", Lane.INTERACTIVE)):
        for _ in range(3 if job == "slow" else 1):
            queue.push(task(job, lane))
    asked: list[tuple[int, int]] = []

    def fits(context: int, n_windows: int, n_company: int = 0) -> bool:
        asked.append((n_windows, n_company))
        return n_company <= 1

    assert jobs_of(queue.take(fits)) == ["a", "b", "slow"]
    assert asked == [(2, 0), (3, 1), (4, 2)]
    assert jobs_of(queue.take(fits)) == ["slow", "slow"], (
        "where nobody waits there is no such limit"
    )


def test_bulk_is_not_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(window_queue, "time", SimpleNamespace(monotonic=lambda: now))
    queue = WindowQueue()
    queue.push(task("done", Lane.BULK))
    queue.take(up_to(1))
    queue.push(task("slow", Lane.BULK))
    taken = []
    for _ in range(30):
        queue.push(task("quick"))
        taken += jobs_of(queue.take(up_to(1)))
        now += 1
    assert taken[0] == "quick" and "slow" in taken


def test_a_batch_shares_one_key() -> None:
    queue = WindowQueue()
    for job, context in (("a", 600), ("b", 800), ("c", 600)):
        queue.push(task(job, context=context))
    assert jobs_of(queue.take(up_to(8))) == ["a", "c"]
    assert jobs_of(queue.take(up_to(8))) == ["b"]


def test_windows_that_go_round_again_come_first() -> None:
    queue = WindowQueue()
    first, again = task("a"), task("a")
    queue.push(first)
    queue.push(again, front=True)
    assert queue.take(up_to(1)) == [again]


def test_drain_returns_everything() -> None:
    queue = WindowQueue()
    queue.push(task("a"))
    queue.push(task("b", Lane.BULK))
    assert sorted(jobs_of(queue.drain())) == ["a", "b"]
    assert len(queue) == 0
