"""A second of noise that is decoded to see whether a model runs: at the start, and after a failure.

What a library says of a failure tells little of whose it was: a window's, or of a GPU that does
nothing any more until its process is another one.
"""

import logging
import time
from concurrent.futures import Future
from dataclasses import replace

import numpy as np

from services.contract.encoder_context import FRAMES_PER_SECOND
from services.contract.schema import Lane, TranscriptionOptions
from services.worker.cost_model import CostModel
from services.worker.decoding import WindowTask, run_batch
from services.worker.model import Model
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE

logger = logging.getLogger(__name__)


def self_test(model: Model) -> CostModel:
    """Decode noise in batches of one and four: shows that every library is there, and gives the
    first figures for the time budget. Raises what the libraries raise.
    """
    # A GPU loads its kernels at first use, and other ones for other sizes.
    for n_windows in (1,) if model.device == "cpu" else (1, 4):
        run_batch(model, _noise(model, n_windows))
    alone_s, four_s = (_seconds(model, _noise(model, n_windows)) for n_windows in (1, 4))
    return CostModel(
        s_per_frame=alone_s / model.context_of(FRAMES_PER_SECOND), share=(four_s / alone_s - 1) / 3
    )


def still_works(model: Model) -> bool:
    """Whether a model that failed decodes anything at all."""
    try:
        run_batch(model, _noise(model, 1))
    except Exception as error:  # the libraries raise nothing more precise
        logger.error("nothing can be decoded any more, the self-test fails, too: %s", error)
        return False
    return True


def _seconds(model: Model, tasks: list[WindowTask]) -> float:
    started = time.monotonic()
    run_batch(model, tasks)
    return time.monotonic() - started


def _noise(model: Model, n_windows: int) -> list[WindowTask]:
    samples = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    options = TranscriptionOptions(compression_ratio_threshold=None, log_prob_threshold=None)
    language = model.languages[0]
    task = WindowTask(
        job="self-test",
        lane=Lane.BULK,
        options=options,
        features=model.log_mel(samples),
        n_frames=FRAMES_PER_SECOND,
        language=language,
        prompt=build_prompt(model, language, options),
    )
    return [replace(task, attempts=[], future=Future()) for _ in range(n_windows)]
