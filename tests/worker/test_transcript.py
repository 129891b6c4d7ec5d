"""What the engine found in a window, in the recording's time."""

import numpy as np
import pytest

from services.contract.schema import Segment, Word
from services.worker.decoding import Attempt, Decoded
from services.worker.languages import Language
from services.worker.samples import SAMPLE_RATE
from services.worker.segments import RawSegment
from services.worker.transcript import window_result
from services.worker.vad import SpeechChunk
from services.worker.windows import Window

SWEDISH = Language("sv", 1.0)


def window() -> Window:
    """Two seconds of speech from 10 s on, two more from 20 s on, without the silence between."""
    spans = [(10, 12), (20, 22)]
    chunks = tuple(SpeechChunk(a * SAMPLE_RATE, b * SAMPLE_RATE) for a, b in spans)
    return Window(0, np.zeros(4 * SAMPLE_RATE, np.float32), chunks)


def word(text: str, start: float, end: float) -> Word:
    return Word(word=text, start=start, end=end, probability=1.0)


SAID = RawSegment(
    0.0,
    3.5,
    [1, 2, 3, 4, 5],
    "Hej du. Vi ses",
    words=(
        word("Hej", 0.1, 0.6),
        word(" du.", 0.6, 1.5),
        word(" Vi", 2.1, 2.4),
        word(" ses", 2.4, 3.5),
    ),
    word_tokens=((1,), (2, 3), (4,), (5,)),
)


def segments(raw: RawSegment, *, with_words: bool) -> tuple[Segment, ...]:
    attempt = Attempt([1], 0.0, -0.1, 1.0, 0.0, fills_its_room=False)
    decoded = Decoded([raw], attempt, 1, is_suspicious=False)
    return window_result(window(), decoded, SWEDISH, with_words=with_words).segments


@pytest.mark.parametrize("with_words", [True, False])
def test_words_become_segments_and_are_kept_if_asked_for(with_words: bool) -> None:
    first, second = segments(SAID, with_words=with_words)
    assert (first.text, first.tokens, first.start, first.end) == (" Hej du.", (1, 2, 3), 10.1, 11.5)
    assert (second.text, second.tokens) == (" Vi ses", (4, 5))
    assert (second.start, second.end) == (20.1, 21.5), (
        "after the silence that the model never heard"
    )
    words = second.words
    assert (words and [each.word for each in words]) == ([" Vi", " ses"] if with_words else None)


def test_a_span_without_words_stays_as_it_is() -> None:
    (segment,) = segments(RawSegment(0.5, 1.5, [1, 2], " Hej"), with_words=True)
    assert (segment.start, segment.end, segment.tokens) == (10.5, 11.5, (1, 2))
    assert segment.words is None
