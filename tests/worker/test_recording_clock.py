"""Gaps in a file are heard as silence, and clocks that were set anew as nothing."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from services.worker.samples import SAMPLE_RATE
from tests.api.recordings import stream_at
from tests.worker.encoded import encode, samples_of

Speak = Callable[..., Path]


def tones_at(path: Path, *starts_s: int, film: bool = False) -> Path:
    """A second of tone at each of some times, beside a picture that begins at 0 if asked for."""
    with av.open(str(path), "w") as output:
        sound = output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        if film:
            picture = output.add_stream("mpeg4", rate=25)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            output.mux([*picture.encode(black), *picture.encode(None)])
        for start_s in starts_s:
            tone = np.resize(np.array([8000, 8000, -8000, -8000], np.int16), (1, SAMPLE_RATE))
            frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start_s * SAMPLE_RATE
            output.mux(sound.encode(frame))
    return path


def sounding_s(path: Path) -> list[int]:
    """Return the seconds in which something is heard."""
    heard = samples_of(path)
    seconds = heard[: len(heard) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)
    return [int(second) for second in np.flatnonzero(np.abs(seconds).mean(axis=1) > 0.1)]


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_the_sound_of_a_film_that_begins_later_is_heard_later(suffix: str, tmp_path: Path) -> None:
    """Else its subtitles would come too early."""
    assert sounding_s(tones_at(tmp_path / f"a.{suffix}", 5, 6, film=True)) == [5, 6]


def test_a_recording_that_paused_is_silent_meanwhile(tmp_path: Path) -> None:
    assert sounding_s(tones_at(tmp_path / "a.mka", 0, 1, 27, 29)) == [0, 1, 27, 29]


@pytest.mark.parametrize("starts_s", [(0, 1, 7200, 7201), (7200, 7201, 7202, 7203)])
def test_a_clock_that_was_set_anew_lengthens_nothing(
    starts_s: tuple[int, ...], tmp_path: Path
) -> None:
    assert sounding_s(tones_at(tmp_path / "a.mka", *starts_s)) == [0, 1, 2, 3]


@pytest.mark.parametrize("starts_s", [(0, 60), (60, 0)])
def test_nor_does_the_clock_of_joined_streams(starts_s: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(stream_at(start_s, 2.0) for start_s in starts_s))
    assert len(samples_of(path)) / SAMPLE_RATE == pytest.approx(4.0, abs=0.3)


def test_times_that_are_made_up_leave_no_gaps(speech: Speak, tmp_path: Path) -> None:
    """In AVI, as old programmes write it, a packet's time is its byte by the mean rate."""
    path = encode(speech("Hej och välkommen till provet."), tmp_path / "a.avi", "mp3", 48_000)
    plain = len(samples_of(path))
    data = bytearray(path.read_bytes())
    header = data.find(b"strh") + 8
    struct.pack_into("<II", data, header + 20, 1, len(data) * SAMPLE_RATE // plain // 4)
    struct.pack_into("<I", data, header + 44, 1)
    struct.pack_into("<H", data, data.find(b"strf") + 20, 1)
    path.write_bytes(data)
    assert len(samples_of(path)) == pytest.approx(plain, abs=SAMPLE_RATE / 10)
