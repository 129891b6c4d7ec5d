import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import VadOptions as FasterWhisperVadOptions
from faster_whisper.vad import get_speech_timestamps
from numpy.typing import NDArray

from services.contract.schema import VadOptions
from services.contract.settings import child_environ
from services.worker.vad import SpeechBounds, SpeechDetector

Samples = NDArray[np.float32]

OPTIONS = [
    VadOptions(),
    VadOptions(threshold=0.3, min_silence_duration_ms=100, speech_pad_ms=30),
    VadOptions(min_speech_duration_ms=900, min_silence_duration_ms=200),
    VadOptions(min_silence_duration_ms=2000, speech_pad_ms=0),
    VadOptions(min_silence_duration_ms=0),
    VadOptions(threshold=0.8, min_silence_duration_ms=50),
]


def streamed(
    samples: Samples, options: VadOptions, max_speech_s: float, block: int
) -> list[tuple[int, ...]]:
    bounds = SpeechBounds(options, max_speech_s=max_speech_s)
    detector = SpeechDetector(bounds, pad_ms=options.speech_pad_ms)
    chunks = []
    for start in range(0, len(samples), block):
        found = detector.feed(samples[start : start + block])
        assert all(chunk.end <= start + block for chunk in found), "not heard yet"
        chunks += found
        needed_from = detector.needed_from
    last = detector.finish()
    assert all(chunk.start >= needed_from for chunk in last), "forgotten already"
    return [(chunk.start, chunk.end) for chunk in chunks + last]


def whole(samples: Samples, options: VadOptions, max_speech_s: float) -> list[tuple[int, ...]]:
    wanted = FasterWhisperVadOptions(
        threshold=options.threshold,
        min_speech_duration_ms=options.min_speech_duration_ms,
        max_speech_duration_s=max_speech_s,
        min_silence_duration_ms=options.min_silence_duration_ms,
        speech_pad_ms=options.speech_pad_ms,
    )
    return [(c["start"], c["end"]) for c in get_speech_timestamps(samples.copy(), wanted)]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("max_speech_s", [30, 4])
def test_a_stream_has_the_chunks_that_faster_whisper_finds_in_the_whole(
    options: VadOptions, max_speech_s: float, spoken: Samples
) -> None:
    expected = whole(spoken, options, max_speech_s)
    assert len(expected) > 3
    for block in (160_000, 4_999):
        assert streamed(spoken, options, max_speech_s, block) == expected


@pytest.mark.parametrize("n_samples", [100, 512 * 60, 512 * 77 + 490, 512 * 300 + 1])
def test_every_length_ends_as_in_faster_whisper(n_samples: int, spoken: Samples) -> None:
    cut = spoken[:n_samples]
    assert streamed(cut, VadOptions(), 30, 160_000) == whole(cut, VadOptions(), 30)


def test_silence_has_no_chunks() -> None:
    assert streamed(np.zeros(50_000, np.float32), VadOptions(), 30, 16_000) == []


def test_little_is_remembered_in_a_long_silence(spoken: Samples) -> None:
    detector = SpeechDetector(SpeechBounds(VadOptions(), max_speech_s=30), pad_ms=400)
    detector.feed(spoken[:80_000])
    detector.feed(np.zeros(20 * 16_000, np.float32))
    assert detector.needed_from > 80_000 + 19 * 16_000


def test_the_runtime_reports_its_use_to_nobody(tmp_path: Path) -> None:
    """A reporting onnxruntime first writes an identifier of the machine into the home folder."""
    code = "from services.worker import tasks, vad; vad.SpeechProbabilities()"
    unset = dict.fromkeys(("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI"), "")
    home = child_environ({"HOME": str(tmp_path), **unset})
    subprocess.run([sys.executable, "-c", code], env=home, check=True)
    assert list(tmp_path.rglob("*onnxruntime*")) == []
