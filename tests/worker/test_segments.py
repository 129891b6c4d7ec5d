from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker.engine import Engine
from services.worker.segments import RawSegment, split_segments, whole_window


class Words:
    """A tokenizer of one word per token, timestamps from 100 on."""

    eot = 90
    timestamp_begin = 100

    def decode(self, tokens: list[int]) -> str:
        return "".join(f" w{token}" for token in tokens if token < 100)


def at(seconds: float) -> int:
    return 100 + round(seconds / 0.02)


def split(tokens: list[int], duration: float = 10.0) -> list[tuple[float, float, str]]:
    segments = split_segments(Words(), tokens, duration)  # type: ignore[arg-type]
    return [(segment.start, segment.end, segment.text) for segment in segments]


def test_what_was_written_without_timestamps_is_one_segment_of_its_text() -> None:
    (segment,) = whole_window(Words(), [1, 2, 95, at(2)], 10.0)  # type: ignore[arg-type]
    assert segment == RawSegment(0.0, 10.0, [1, 2], " w1 w2")
    assert whole_window(Words(), [95], 10.0) == []  # type: ignore[arg-type]


def test_pairs_of_timestamps_separate_segments() -> None:
    tokens = [at(0), 1, 2, at(2), at(3), 3, at(4)]
    assert split(tokens) == [(0, 2, " w1 w2"), (3, 4, " w3")]


def test_text_without_timestamps_spans_the_window() -> None:
    assert split([1, 2]) == [(0, 10, " w1 w2")]


def test_text_after_the_last_pair_is_kept_to_the_end() -> None:
    assert split([at(0), 1, at(2), at(3), 2]) == [(0, 2, " w1"), (3, 10, " w2")]


def test_a_missing_end_is_the_end_of_the_window() -> None:
    assert split([at(1), 1]) == [(1, 10, " w1")]


def test_times_beyond_the_window_are_cut() -> None:
    assert split([at(0), 1, at(20), at(25), 2, at(28)], 5.0) == [(0, 5, " w1"), (5, 5, " w2")]


def test_segments_without_words_are_dropped() -> None:
    assert split([at(0), at(2), at(2), 1, at(3)]) == [(2, 3, " w1")]
    assert split([]) == []


@given(st.lists(st.integers(0, 100 + 1500), max_size=60), st.floats(0, 30))
def test_no_text_is_lost_and_time_never_runs_backwards(tokens: list[int], duration: float) -> None:
    segments: list[RawSegment] = split_segments(Words(), tokens, duration)  # type: ignore[arg-type]
    said = "".join(segment.text for segment in segments)
    assert said == Words().decode(tokens)
    reached = 0.0
    for segment in segments:
        assert reached <= segment.start <= segment.end <= round(duration, 2) + 0.01
        reached = segment.end


@pytest.mark.parametrize("n_words", [1, 3])
def test_a_real_tokenizer_agrees(
    n_words: int, open_engine: Callable[[Path], Engine], short_bundle_dir: Path
) -> None:
    tokenizer = open_engine(short_bundle_dir).model.tokenizer("sv", "transcribe")
    start = tokenizer.timestamp_begin
    tokens = [start, *tokenizer.encode(" hej" * n_words), start + 50]
    (segment,) = split_segments(tokenizer, tokens, 4.0)
    assert (segment.start, segment.end, segment.text) == (0.0, 1.0, " hej" * n_words)
