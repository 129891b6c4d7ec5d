"""Processes that are started, watched, revived and ended, with small programs in place of ours."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.client import child_process
from services.client.child_process import ChildPlan, ChildProcess
from services.client.stack import Stack
from services.contract.errors import ServiceError
from tests.waiting import wait_until

STAY = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); "


def plan(tmp_path: Path, program: str, name: str = "part") -> ChildPlan:
    command = (sys.executable, "-c", program)
    return ChildPlan(name, command, dict(os.environ), tmp_path / f"{name}.log")


def test_a_process_that_ends_at_once_gives_its_reason(tmp_path: Path) -> None:
    program = "import sys; print('noise'); sys.exit('error: the port is taken')"
    with Stack() as stack, pytest.raises(ServiceError, match=r"^part: the port is taken$"):
        stack.start(plan(tmp_path, program))
        stack.wait_until(lambda: False, 20, "nothing")


def test_an_earlier_log_is_not_taken_for_the_reason(tmp_path: Path) -> None:
    (tmp_path / "part.log").write_text("error: of yesterday\n")
    with Stack() as stack, pytest.raises(ServiceError, match="Traceback"):
        stack.start(plan(tmp_path, "1 / 0"))
        stack.wait_until(lambda: False, 20, "nothing")


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = ChildPlan("part", ("/no/such/program",), {}, tmp_path / "part.log")
    with Stack() as stack, pytest.raises(ServiceError, match="/no/such/program"):
        stack.start(missing)


def test_leaving_ends_every_process(tmp_path: Path) -> None:
    with Stack() as stack:
        for name in ("a", "b"):
            stack.start(plan(tmp_path, STAY, name))
        pids = list(stack.pids().values())
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = ChildProcess(plan(tmp_path, STUBBORN + STAY))
    wait_until(lambda: "up" in child.plan.log_file.read_text(), what="its start")
    child.stop(timeout_s=0.2)
    assert child.exit_status == -signal.SIGKILL


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    lines: list[str] = []

    def check() -> None:
        if lines and stack.pids()["part"] != first:
            raise Enough

    with Stack(check) as stack:
        stack.start(plan(tmp_path, STAY))
        first = stack.pids()["part"]
        os.kill(first, signal.SIGKILL)
        with pytest.raises(Enough):
            stack.watch(lines.append)
        assert "ended by SIGKILL" in lines[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends them")
def test_processes_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from tests.client.test_stack import STAY, plan
from services.client import child_process
from services.client.child_process import ChildProcess
print(ChildProcess(plan(Path({str(tmp_path)!r}), STAY)).pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(child), what="its end")


def run_to_end(child: ChildProcess) -> None:
    wait_until(lambda: child.exit_status is not None, what="its end")


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "MAX_LOG_BYTES", 10)
    for _ in range(3):
        run_to_end(ChildProcess(plan(tmp_path, "print('twelve bytes')")))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.log", "part.old.log"]
    assert (tmp_path / "part.log").read_text() == "twelve bytes\n"
