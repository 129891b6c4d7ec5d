"""Names in a folder become durable once for all who wait, and never too early for anyone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.contract.recording_files import FolderSync
from tests.waiting import wait_until


class HeldSync(FolderSync):
    """A disk that takes as long over each sync as the test wants."""

    def __init__(self, folder: Path) -> None:
        """Hold every sync until `go` is set."""
        super().__init__(folder)
        self.n_callers = 0
        self.n_syncs = 0
        self.go = threading.Event()

    def __call__(self) -> None:
        """Count who comes."""
        self.n_callers += 1
        super().__call__()

    def wait_for(self, *, n_callers: int, n_syncs: int) -> None:
        """Return once so many have come and so many syncs have begun."""
        expected = (n_callers, n_syncs)
        wait_until(
            lambda: (self.n_callers, self.n_syncs) == expected,
            timeout_s=20,
            what=f"{n_callers} callers and {n_syncs} syncs",
        )

    def _sync(self) -> None:
        self.n_syncs += 1
        assert self.go.wait(20)


def test_writers_that_wait_share_one_sync(tmp_path: Path) -> None:
    sync = HeldSync(tmp_path)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(sync)
        sync.wait_for(n_callers=1, n_syncs=1)
        others = [pool.submit(sync) for _ in range(8)]
        sync.wait_for(n_callers=9, n_syncs=1)
        sync.go.set()
        for writer in [first, *others]:
            writer.result(20)
    # The one that ran when they came may have missed their names; the next is for all of them.
    # A thread that was held up between its count and its call may need one more.
    assert 2 <= sync.n_syncs <= 3


def test_a_sync_that_began_before_is_not_enough(tmp_path: Path) -> None:
    sync = HeldSync(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sync)
        sync.wait_for(n_callers=1, n_syncs=1)
        second = pool.submit(sync)
        sync.wait_for(n_callers=2, n_syncs=1)
        sync.go.set()
        first.result(20)
        second.result(20)
    assert sync.n_syncs == 2


def test_a_failed_sync_counts_for_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    sync = FolderSync(folder)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            sync()
    folder.mkdir()
    sync()
