"""What threads leave behind in the C library."""

import ctypes
import subprocess
import sys

import pytest

from services.contract.settings import child_environ

#: Threads that all hold memory at once, then the number of arenas that they made.
PROGRAM = """
import ctypes, threading
from services.worker import memory
memory.os.cpu_count = lambda: 2
memory.share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(16)
def hold():
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc has arenas"
)


def test_threads_share_as_many_arenas_as_there_are_cores() -> None:
    assert arenas() == 2


def test_who_runs_it_can_say_how_many() -> None:
    assert arenas(MALLOC_ARENA_MAX="3") == 3


def arenas(**variables: str) -> int:
    """Return how many arenas 16 threads have made."""
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=child_environ(variables),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return told.count("<heap nr=")
