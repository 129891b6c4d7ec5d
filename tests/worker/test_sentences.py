"""Where a stretch of several sentences is cut for a model that knows single ones."""

import pytest

from services.contract.schema import VadOptions
from services.worker.sentences import LONG_SHARE, SentenceBounds
from services.worker.vad import FRAME_SAMPLES, Bounds, SpeechBounds

MAX_S = 10.0
LONG_S = LONG_SHARE * MAX_S
FRAMES_PER_S = 16_000 / FRAME_SAMPLES


def frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_S)


def found(bounds: Bounds, *spans_s: float) -> list[tuple[float, float]]:
    """Speech in seconds, to a tenth, where speech and silence of these lengths take turns."""
    chunks, n_frames = [], 0
    for index, seconds in enumerate(spans_s):
        for _ in range(frames(seconds)):
            chunks += bounds.step(0.0 if index % 2 else 1.0)
        n_frames += frames(seconds)
    chunks += bounds.finish(n_frames * FRAME_SAMPLES)
    return [(round(chunk.start / 16_000, 1), round(chunk.end / 16_000, 1)) for chunk in chunks]


def sentences(**options: int) -> SentenceBounds:
    return SentenceBounds(VadOptions(**options), max_speech_s=MAX_S)


def test_a_long_stretch_is_cut_at_its_longest_pause() -> None:
    assert found(sentences(), 1.0, 0.2, 1.0, 0.4, 1.0) == [(0.0, 2.2), (2.6, 3.6)]


def test_it_is_cut_until_each_part_is_short() -> None:
    spoken = found(sentences(), *[1.2, 0.3, 1.2, 0.2] * 3)
    assert len(spoken) > 3
    assert all(end - start <= LONG_S for start, end in spoken)


@pytest.mark.parametrize(
    "spans_s",
    [
        (1.2, 0.3, 1.2),
        (1.0, 0.6, 1.0, 0.4, 0.8, 1.2, 2.0, 0.7, 0.1),
        (LONG_S + 3,),
        (MAX_S + 5, 0.7, 1.0),
        (2.5, 0.05, 2.5),
    ],
)
def test_what_is_short_or_has_no_pause_ends_where_it_does_for_all_models(
    spans_s: tuple[float, ...],
) -> None:
    plain = SpeechBounds(VadOptions(), max_speech_s=MAX_S)
    assert found(sentences(), *spans_s) == found(plain, *spans_s)


def test_the_pause_that_ends_speech_is_the_callers() -> None:
    assert found(sentences(min_silence_duration_ms=200), 1.0, 0.3, 1.0) == [(0, 1.0), (1.3, 2.3)]
    assert found(sentences(min_silence_duration_ms=1000), 1.0, 0.8, 1.0) == [(0, 2.8)]


def test_speech_that_is_too_short_is_dropped_but_never_what_a_cut_left_over() -> None:
    assert found(sentences(min_speech_duration_ms=900), 0.5, 1.0, 1.5) == [(1.5, 3.0)]
    spoken = found(sentences(min_speech_duration_ms=900), LONG_S - 0.2, 0.2, 0.5)
    assert len(spoken) == 2
