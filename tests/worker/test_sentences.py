"""Where a stretch of several sentences may be cut for a model that knows single ones."""

from itertools import pairwise

import pytest

from services.contract.schema import VadOptions
from services.worker.sentences import LONG_SHARE, VERY_LONG_SHARE, SentenceBounds
from services.worker.vad import FRAME_SAMPLES, Bounds, SpeechBounds, SpeechChunk

MAX_S = 10.0
LONG_S = LONG_SHARE * MAX_S
VERY_LONG_S = VERY_LONG_SHARE * MAX_S
#: A pause in a single sentence, and one between two; a frame's rounding away from the limit.
SHORT_S, CLEAR_S = 0.15, 0.3
FRAMES_PER_S = 16_000 / FRAME_SAMPLES


def frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_S)


def chunks_of(bounds: Bounds, *spans_s: float) -> list[SpeechChunk]:
    """What is found where speech and silence of these lengths take turns."""
    chunks, n_frames = [], 0
    for index, seconds in enumerate(spans_s):
        for _ in range(frames(seconds)):
            chunks += bounds.step(0.0 if index % 2 else 1.0)
        n_frames += frames(seconds)
    return chunks + bounds.finish(n_frames * FRAME_SAMPLES)


def found(bounds: Bounds, *spans_s: float) -> list[tuple[float, float]]:
    """Speech in seconds, to a tenth."""
    chunks = chunks_of(bounds, *spans_s)
    return [(round(chunk.start / 16_000, 1), round(chunk.end / 16_000, 1)) for chunk in chunks]


def sentences(**options: int) -> SentenceBounds:
    return SentenceBounds(VadOptions(**options), max_speech_s=MAX_S)


def pauses(*spans_s: float, **options: int) -> list[tuple[float, ...]]:
    """Where each stretch may be cut, in seconds, to a tenth."""
    stretches = chunks_of(sentences(**options), *spans_s)
    return [tuple(round(pause / 16_000, 1) for pause in each.pauses) for each in stretches]


def test_a_long_stretch_may_be_cut_at_a_clear_pause() -> None:
    assert pauses(1.0, CLEAR_S, 1.2) == [(1.1,)]


def test_a_very_long_one_at_its_longest_pause() -> None:
    assert pauses(1.5, 0.12, 1.5, 0.19, 1.5) == [(3.2,)]


def test_each_pause_is_one_until_no_part_may_hold_several() -> None:
    (found_at,) = pauses(*[1.2, CLEAR_S, 1.0, SHORT_S] * 3)
    assert len(found_at) == 3 and list(found_at) == sorted(found_at)
    edges = [0.0, *found_at, 8.0]
    assert all(end - start <= VERY_LONG_S for start, end in pairwise(edges))


@pytest.mark.parametrize(
    "spans_s",
    [
        (0.7, CLEAR_S, 0.7),
        (2.0, SHORT_S, 2.0),
        (LONG_S + 3,),
        (2.5, 0.05, 2.5),
    ],
    ids=["short", "a pause of single sentences", "none", "plosive"],
)
def test_what_is_one_sentence_may_not_be_cut(spans_s: tuple[float, ...]) -> None:
    assert pauses(*spans_s) == [()]


@pytest.mark.parametrize(
    "spans_s",
    [
        (1.0, CLEAR_S, 1.2),
        (1.5, 0.12, 1.5, 0.19, 1.5),
        (0.8, 0.6, 0.7, 0.4, 0.6, 1.2, 2.0, 0.7, 0.1),
        (MAX_S + 5, 0.7, 1.0),
    ],
    ids=["clear pause", "very long", "pauses", "too long"],
)
def test_a_stretch_ends_where_it_does_for_all_models(spans_s: tuple[float, ...]) -> None:
    plain = SpeechBounds(VadOptions(), max_speech_s=MAX_S)
    assert found(sentences(), *spans_s) == found(plain, *spans_s)


def test_what_no_window_holds_is_cut_at_its_longest_pause() -> None:
    spoken = found(sentences(), 3.0, 0.2, 3.0, 0.4, 3.0, 0.2, 3.0)
    assert spoken == [(0.0, 6.2), (6.6, 12.8)]


def test_the_pause_that_ends_speech_is_the_callers() -> None:
    spans_s = (0.7, CLEAR_S, 0.7)
    assert found(sentences(min_silence_duration_ms=200), *spans_s) == [(0, 0.7), (1.0, 1.7)]
    assert found(sentences(min_silence_duration_ms=1000), 0.5, 0.8, 0.5) == [(0, 1.8)]


def test_speech_that_is_too_short_is_dropped_but_never_what_a_cut_left_over() -> None:
    assert found(sentences(min_speech_duration_ms=900), 0.5, 1.0, 1.5) == [(1.5, 3.0)]
    spoken = found(sentences(min_speech_duration_ms=900), 9.0, CLEAR_S, 0.5)
    assert len(spoken) == 2
