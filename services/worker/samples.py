"""Audio inside the worker: mono samples at 16 kHz, as Whisper and the detector take them."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
SAMPLES_PER_MS = SAMPLE_RATE // 1000
#: What is handed on at once, about.
BLOCK_SAMPLES = 10 * SAMPLE_RATE
#: Float32 of full scale 1, shape (n_samples,).
Samples = NDArray[np.float32]
