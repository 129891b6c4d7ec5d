"""What is read of a window, and which of two readings stands: as one, or cut at its pauses."""

from dataclasses import replace

import numpy as np
import pytest

from services.worker.decoding import Attempt, Decoded
from services.worker.readings import Readings
from services.worker.segments import RawSegment
from services.worker.vad import SpeechChunk
from services.worker.windows import Window

SURE, UNSURE = -0.05, -0.5
N_TOKENS = 9


def window(*pauses: int) -> Window:
    chunk = SpeechChunk(1000, 4000, pauses)
    return Window(3, np.arange(3000, dtype=np.float32), (chunk,))


def decoded(
    avg_logprob: float,
    n_tokens: int = N_TOKENS,
    *,
    is_suspicious: bool = False,
    unread_from: float | None = None,
    text: str = "",
    no_speech_prob: float = 0.0,
) -> Decoded:
    attempt = Attempt([7] * n_tokens, 0.0, avg_logprob, 1.0, no_speech_prob, fills_its_room=False)
    segments = [RawSegment(0.0, 1.0, [7], text)]
    return Decoded(segments, attempt, 1, is_suspicious, unread_from)


@pytest.mark.parametrize(
    ("pauses", "logprob", "is_doubtful"),
    [((2000,), UNSURE, True), ((2000,), SURE, False), ((), UNSURE, False)],
    ids=["unsure", "sure", "nowhere to cut"],
)
def test_only_what_is_unsure_and_can_be_cut_is_read_again(
    pauses: tuple[int, ...], logprob: float, is_doubtful: bool
) -> None:
    readings = Readings(window(*pauses))
    parts = readings.add(readings.window, decoded(logprob))
    assert len(parts) == (2 if is_doubtful else 0)
    assert readings.are_complete != is_doubtful


def test_the_parts_stand_if_they_are_likelier_or_nearly_as_likely_in_their_order() -> None:
    for whole in (-0.8, -0.35):
        readings = Readings(window(2000))
        first, second = readings.add(readings.window, decoded(whole))
        assert readings.add(second, decoded(-0.5)) == [] and not readings.are_complete
        assert readings.add(first, decoded(-0.3)) == [] and readings.are_complete
        assert read(readings) == [first, second]


def test_the_whole_stands_if_cutting_made_it_unlikely() -> None:
    readings = Readings(window(2000))
    first, second = readings.add(readings.window, decoded(-0.3))
    readings.add(first, decoded(-0.1, n_tokens=1))
    readings.add(second, decoded(-0.6, n_tokens=17))
    assert read(readings) == [readings.window]


def test_what_repeats_itself_is_read_again_however_sure_it_is() -> None:
    readings = Readings(window(2000))
    parts = readings.add(readings.window, decoded(SURE, is_suspicious=True))
    for part in parts:
        readings.add(part, decoded(UNSURE))
    assert read(readings) == parts


def test_parts_of_which_one_repeats_itself_do_not_stand() -> None:
    readings = Readings(window(2000))
    first, second = readings.add(readings.window, decoded(UNSURE))
    readings.add(first, decoded(SURE))
    readings.add(second, decoded(SURE, is_suspicious=True))
    assert read(readings) == [readings.window]


def test_what_the_model_left_out_is_read_next() -> None:
    readings = Readings(long_window())
    (rest,) = readings.add(readings.window, decoded(SURE, unread_from=3.0))
    assert rest.duration == 7.0 and not readings.are_complete
    (last,) = readings.add(rest, decoded(SURE, unread_from=2.0))
    assert last.duration == 5.0
    assert readings.add(last, decoded(SURE)) == [] and readings.are_complete
    assert read(readings) == [readings.window, rest, last]


@pytest.mark.parametrize(
    ("said_next", "is_told_by_words", "n_pieces"),
    [
        (" På torsdag!", True, 1),
        (" Torsdag.", True, 1),
        (" Hej då.", True, 2),
        ("", True, 2),
        (" På torsdag!", False, 2),
    ],
)
def test_a_rest_that_says_again_what_was_said_last_is_left_out(
    said_next: str, is_told_by_words: bool, n_pieces: int
) -> None:
    """Where a model's alignment is wrong, a rest begins too early."""
    readings = Readings(long_window())
    heard = decoded(SURE, unread_from=8.0, text=" Vi ses på torsdag.")
    heard = replace(heard, is_told_by_words=is_told_by_words)
    (rest,) = readings.add(readings.window, heard)
    readings.add(rest, decoded(SURE, text=said_next))
    assert read(readings) == [readings.window, rest][:n_pieces]


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "is_told_by_words", "n_pieces"),
    [
        (0.8, -0.9, True, 1),
        (0.8, -0.2, True, 2),
        (0.3, -0.9, True, 2),
        (0.8, -0.9, False, 2),
    ],
    ids=["noise", "sure of it", "speech", "the model said itself that there is more"],
)
def test_a_rest_that_is_probably_no_speech_is_left_out(
    no_speech_prob: float, avg_logprob: float, is_told_by_words: bool, n_pieces: int
) -> None:
    """Stock models hear "Thank you." in a second of noise after the last word."""
    readings = Readings(long_window())
    heard = decoded(SURE, unread_from=8.0, text=" Vi ses på torsdag.")
    (rest,) = readings.add(readings.window, replace(heard, is_told_by_words=is_told_by_words))
    readings.add(rest, decoded(avg_logprob, text=" Tack.", no_speech_prob=no_speech_prob))
    assert read(readings) == [readings.window, rest][:n_pieces]


def test_rests_of_parts_are_looked_at_as_well() -> None:
    readings = Readings(long_window(80_000))
    first, second = readings.add(readings.window, decoded(UNSURE, text=" Vi ses på torsdag."))
    heard = decoded(SURE, unread_from=4.0, text=" Vi ses på torsdag.")
    (rest,) = readings.add(first, replace(heard, is_told_by_words=True))
    readings.add(second, decoded(SURE, text=" Torsdag."))
    readings.add(rest, decoded(SURE, text=" Torsdag."))
    assert read(readings) == [first, second]


def test_a_doubtful_window_is_cut_once_its_rest_is_there() -> None:
    readings = Readings(long_window(80_000))
    (rest,) = readings.add(readings.window, decoded(UNSURE, unread_from=6.0))
    first, second = readings.add(rest, decoded(UNSURE))
    (rest_of_first,) = readings.add(first, decoded(SURE, unread_from=3.0))
    readings.add(second, decoded(SURE))
    assert not readings.are_complete
    readings.add(rest_of_first, decoded(SURE))
    assert read(readings) == [first, rest_of_first, second]


def long_window(*pauses: int) -> Window:
    """Ten seconds."""
    return Window(0, np.zeros(160_000, np.float32), (SpeechChunk(0, 160_000, pauses),))


def read(readings: Readings) -> list[Window]:
    """Return what was read in the reading that stands."""
    assert readings.are_complete
    return [piece for piece, _ in readings.better()]
