"""Which of two readings stands: speech as one sentence, or cut at its pauses."""

import numpy as np
import pytest

from services.worker.decoding import Attempt, Decoded
from services.worker.readings import Readings
from services.worker.vad import SpeechChunk
from services.worker.windows import Window

SURE, UNSURE = -0.1, -0.5
N_TOKENS = 9


def window(*pauses: int) -> Window:
    chunk = SpeechChunk(1000, 4000, pauses)
    return Window(3, np.arange(3000, dtype=np.float32), (chunk,))


def decoded(
    avg_logprob: float, n_tokens: int = N_TOKENS, *, is_suspicious: bool = False
) -> Decoded:
    attempt = Attempt([7] * n_tokens, 0.0, avg_logprob, 1.0, 0.0, fills_its_room=False)
    return Decoded([], attempt, 1, is_suspicious)


@pytest.mark.parametrize(
    ("pauses", "logprob", "is_doubtful"),
    [((2000,), UNSURE, True), ((2000,), SURE, False), ((), UNSURE, False)],
    ids=["unsure", "sure", "nowhere to cut"],
)
def test_only_what_is_unsure_and_can_be_cut_is_read_again(
    pauses: tuple[int, ...], logprob: float, is_doubtful: bool
) -> None:
    assert Readings(window(*pauses), decoded(logprob)).is_doubtful == is_doubtful


def test_the_parts_stand_if_they_are_likelier_or_nearly_as_likely_in_their_order() -> None:
    for whole in (-0.8, -0.35):
        readings = Readings(window(2000), decoded(whole))
        first, second = readings.parts
        assert not readings.add(second, decoded(-0.5))
        assert readings.add(first, decoded(-0.3))
        assert [part for part, _ in readings.better()] == [first, second]


def test_the_whole_stands_if_cutting_made_it_unlikely() -> None:
    readings = Readings(window(2000), decoded(-0.3))
    first, second = readings.parts
    readings.add(first, decoded(-0.1, n_tokens=1))
    readings.add(second, decoded(-0.6, n_tokens=17))
    assert readings.better() == [(readings.window, readings.whole)]


def test_what_repeats_itself_is_read_again_however_sure_it_is() -> None:
    readings = Readings(window(2000), decoded(SURE, is_suspicious=True))
    assert readings.is_doubtful
    for part in readings.parts:
        readings.add(part, decoded(UNSURE))
    assert [part for part, _ in readings.better()] == readings.parts


def test_parts_of_which_one_repeats_itself_do_not_stand() -> None:
    readings = Readings(window(2000), decoded(UNSURE))
    first, second = readings.parts
    readings.add(first, decoded(SURE))
    readings.add(second, decoded(SURE, is_suspicious=True))
    assert readings.better() == [(readings.window, readings.whole)]
