"""Windows of speech as the engine takes them."""

import numpy as np
from numpy.typing import NDArray

from services.contract.schema import Lane, TranscriptionOptions
from services.worker.decoding import Decoded, WindowTask
from services.worker.engine import Engine
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE

Samples = NDArray[np.float32]
#: Nothing is doubtful: each window is decoded once.
CALM = TranscriptionOptions(
    beam_size=2,
    best_of=2,
    compression_ratio_threshold=None,
    log_prob_threshold=None,
    no_speech_threshold=None,
)


def task(
    engine: Engine, samples: Samples, options: TranscriptionOptions = CALM, job: str = "job"
) -> WindowTask:
    """A window of these samples, spoken in Swedish."""
    return WindowTask(
        job=job,
        lane=Lane.INTERACTIVE,
        options=options,
        features=engine.model.log_mel(samples),
        n_frames=len(samples) // 160,
        language="sv",
        prompt=build_prompt(engine.model, "sv", options),
    )


def run(engine: Engine, tasks: list[WindowTask]) -> list[Decoded]:
    """Send windows through the engine together; return what it found in each."""
    with engine.preparing(Lane.INTERACTIVE):
        for each in tasks:
            engine.submit(each)
    return [each.future.result(60) for each in tasks]


def clips(spoken: Samples, seconds: list[float]) -> list[Samples]:
    """Cut clips of these lengths out of what is spoken, each from somewhere else."""
    starts = range(0, len(spoken) - 10 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    return [
        spoken[start : start + int(s * SAMPLE_RATE)]
        for start, s in zip(starts, seconds, strict=False)
    ]
