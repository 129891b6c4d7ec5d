"""How the C library keeps the memory of this process."""

import ctypes
import os

from services.contract.settings import says_how_many_arenas

#: mallopt option of glibc: how many arenas it may make (malloc.h).
M_ARENA_MAX = -8


def share_arenas() -> None:
    """Let threads share as many arenas as there are cores, unless MALLOC_ARENA_MAX says otherwise.

    glibc makes up to eight for each core, so that nearly every thread has one. A model brings
    threads of its own, and what the model before it left in the arenas of its threads is kept.
    Other C libraries have no arenas: nothing is done there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not says_how_many_arenas():
        mallopt(M_ARENA_MAX, os.cpu_count() or 1)
