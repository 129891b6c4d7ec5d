import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.schema import TranscriptionOptions, VadOptions
from services.contract.window_shape import WindowShape
from services.worker.samples import SAMPLE_RATE
from services.worker.vad import SpeechChunk
from services.worker.windows import Window, cut_windows

Samples = NDArray[np.float32]
FULL = WindowShape()
SENTENCES = WindowShape(window_s=10, packs_speech=False)


def blocks(samples: Samples, n_samples: int = 160_000) -> Iterator[Samples]:
    for start in range(0, len(samples), n_samples):
        yield samples[start : start + n_samples]


@pytest.mark.parametrize("shape", [FULL, SENTENCES])
@pytest.mark.parametrize("vad_filter", [True, False])
def test_windows_hold_what_their_chunks_say(
    spoken: Samples, vad_filter: bool, shape: WindowShape
) -> None:
    options = TranscriptionOptions(vad_filter=vad_filter)
    windows = list(cut_windows(blocks(spoken), options, shape))
    assert [window.index for window in windows] == list(range(len(windows)))
    assert len(windows) > 1
    for window in windows:
        assert len(window.samples) <= shape.window_s * SAMPLE_RATE
        parts = [spoken[chunk.start : chunk.end] for chunk in window.chunks]
        assert np.array_equal(window.samples, np.concatenate(parts))


@pytest.mark.parametrize("shape", [FULL, SENTENCES])
def test_windows_do_not_depend_on_how_the_audio_arrives(
    spoken: Samples, shape: WindowShape
) -> None:
    options = TranscriptionOptions()
    whole = list(cut_windows([spoken], options, shape))
    pieces = list(cut_windows(blocks(spoken, 7_777), options, shape))
    assert [window.chunks for window in whole] == [window.chunks for window in pieces]
    for one, other in zip(whole, pieces, strict=True):
        assert np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize("shape", [FULL, SENTENCES])
def test_without_vad_nothing_is_lost_and_cuts_are_quiet(
    spoken: Samples, shape: WindowShape
) -> None:
    windows = list(cut_windows(blocks(spoken), TranscriptionOptions(vad_filter=False), shape))
    assert np.array_equal(np.concatenate([window.samples for window in windows]), spoken)
    cut = windows[0].chunks[-1].end
    around = np.abs(spoken[cut - 800 : cut + 800]).mean()
    assert around < np.abs(spoken).mean() / 3


def test_a_model_of_single_sentences_hears_each_stretch_of_speech_alone(spoken: Samples) -> None:
    options = TranscriptionOptions()
    packed = list(cut_windows(blocks(spoken), options, FULL))
    alone = list(cut_windows(blocks(spoken), options, SENTENCES))
    assert any(len(window.chunks) > 1 for window in packed)
    assert all(len(window.chunks) == 1 for window in alone)
    assert len(alone) > len(packed)


def test_wide_padding_leaves_room_for_speech(spoken: Samples) -> None:
    wide = TranscriptionOptions(vad=VadOptions(speech_pad_ms=5_000))
    windows = list(cut_windows(blocks(spoken), wide, SENTENCES))
    assert all(window.duration <= 30 for window in windows)
    n_narrow = len(list(cut_windows(blocks(spoken), TranscriptionOptions(), SENTENCES)))
    assert len(windows) <= 2 * n_narrow, "it is cut to pieces"


def test_times_go_back_over_the_silence_that_was_cut() -> None:
    second = SAMPLE_RATE
    chunks = (SpeechChunk(10 * second, 12 * second), SpeechChunk(20 * second, 23 * second))
    window = Window(0, np.zeros(5 * second, np.float32), chunks)
    assert window.in_recording(0.5, 1.5) == (10.5, 11.5)
    assert window.in_recording(2.5, 3.0) == (20.5, 21.0)
    assert window.in_recording(1.0, 2.0) == (11.0, 12.0), "an end on the border stays before it"
    assert window.in_recording(1.5, 2.2) == (11.5, 20.2)
    start, end = window.in_recording(1.8, 2.1, as_one=True)
    assert end - start == pytest.approx(0.3), "a word never spans the silence"
    assert window.in_recording(4.5, 9.0) == (22.5, 23.0), "never past the end"
    assert (window.start, window.end) == (10, 23)


def test_memory_stays_flat_over_a_long_recording(spoken: Samples) -> None:
    def long_recording() -> Iterator[Samples]:
        for _ in range(60):
            yield from blocks(spoken)

    def peak(stop_after: int) -> int:
        tracemalloc.start()
        for window in cut_windows(long_recording(), TranscriptionOptions(vad_filter=False), FULL):
            if window.index >= stop_after:
                break
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(25) < peak(3) + 5_000_000


def test_parts_are_the_same_samples_at_the_same_place() -> None:
    chunk = SpeechChunk(1000, 4000, (2000, 3500))
    whole = Window(3, np.arange(3000, dtype=np.float32), (chunk,))
    parts = whole.parts()
    assert [(part.index, part.chunks) for part in parts] == [
        (3, (SpeechChunk(1000, 2000),)),
        (3, (SpeechChunk(2000, 3500),)),
        (3, (SpeechChunk(3500, 4000),)),
    ]
    assert np.array_equal(np.concatenate([part.samples for part in parts]), whole.samples)


def test_a_window_without_pauses_or_of_several_chunks_is_one_part() -> None:
    single = Window(0, np.zeros(10), (SpeechChunk(0, 10),))
    assert single.parts() == [single]
    packed = Window(0, np.zeros(20), (SpeechChunk(0, 10, (5,)), SpeechChunk(90, 100)))
    assert packed.parts() == [packed]


def test_the_rest_of_a_window_is_the_same_samples_at_the_same_place() -> None:
    chunks = (SpeechChunk(0, 16_000), SpeechChunk(40_000, 56_000), SpeechChunk(80_000, 96_000))
    window = Window(3, np.arange(48_000, dtype=np.float32), chunks)
    rest = window.rest(1.5)
    assert rest.index == 3
    assert rest.chunks == (SpeechChunk(48_000, 56_000), SpeechChunk(80_000, 96_000))
    assert np.array_equal(rest.samples, window.samples[24_000:])
    assert window.rest(2.0).chunks == chunks[2:], "nothing is left of what ends there"
