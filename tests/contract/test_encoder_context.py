from hypothesis import given
from hypothesis import strategies as st

from services.contract.encoder_context import (
    CONTEXTS,
    FULL_CONTEXT_FRAMES,
    context_frames,
    text_room,
)


@given(st.integers(0, FULL_CONTEXT_FRAMES))
def test_context_holds_the_window(n_frames: int) -> None:
    frames = context_frames(n_frames, short_context=True)
    assert n_frames <= frames <= FULL_CONTEXT_FRAMES
    assert context_frames(n_frames, short_context=False) == FULL_CONTEXT_FRAMES


def test_no_context_is_taken_for_features() -> None:
    assert not {2 * n_mels for n_mels in (80, 128)} & set(CONTEXTS)


def test_five_seconds_take_a_fifth_of_the_full_context() -> None:
    assert context_frames(500, short_context=True) == 600


def test_text_has_room_for_the_fastest_speaker() -> None:
    assert [text_room(context) for context in (200, 600, FULL_CONTEXT_FRAMES)] == [66, 166, 766]
