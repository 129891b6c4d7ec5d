"""A worker process for the fault tests: the real one, over a model that is slow or falls on cue.

    python -m tests.worker.staged_worker SECONDS_PER_CALL HOLD

Its calls wait as long as there is a file HOLD.
A window of exactly POISON_FRAMES frames kills the process, as a bug in a library would. After
one of BREAKING_FRAMES all calls fail, as on a GPU whose context is gone.
"""

import os
import signal
import sys
import time
from typing import Any

import ctranslate2
import numpy as np

POISON_FRAMES = 111
POISON_SAMPLES = POISON_FRAMES * 160
BREAKING_FRAMES = 113
BREAKING_SAMPLES = BREAKING_FRAMES * 160


class StagedWhisper:
    """CTranslate2's model with a delay in every call, and sore spots."""

    seconds_per_call = 0.0
    hold = ""
    is_broken = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._whisper = _Whisper(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)

    def encode(self, features: Any) -> Any:
        used = np.abs(np.array(features)).max(axis=1) > 0
        if POISON_FRAMES in used.sum(axis=1):
            os.kill(os.getpid(), signal.SIGKILL)
        self.is_broken |= BREAKING_FRAMES in used.sum(axis=1)
        if self.is_broken:
            raise RuntimeError("CUDA failed with error an illegal memory access was encountered")
        time.sleep(self.seconds_per_call)
        while os.path.exists(self.hold):
            time.sleep(0.02)
        return self._whisper.encode(features)


_Whisper = ctranslate2.models.Whisper

if __name__ == "__main__":
    from services.worker.main import main

    StagedWhisper.seconds_per_call, StagedWhisper.hold = float(sys.argv[1]), sys.argv[2]
    ctranslate2.models.Whisper = StagedWhisper
    sys.exit(main([]))
