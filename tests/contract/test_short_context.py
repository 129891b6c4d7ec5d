from hypothesis import given
from hypothesis import strategies as st

from services.contract.short_context import FULL_FRAMES, context_frames


@given(st.integers(0, FULL_FRAMES), st.sampled_from([80, 100, 128]))
def test_context_holds_the_window_and_avoids_the_trap(n_frames: int, n_mels: int) -> None:
    frames = context_frames(n_frames, n_mels=n_mels, short_context=True)
    assert n_frames <= frames <= FULL_FRAMES
    assert frames >= 200
    assert frames // 2 != n_mels


@given(st.integers(0, FULL_FRAMES))
def test_stock_models_get_the_full_context(n_frames: int) -> None:
    assert context_frames(n_frames, n_mels=80, short_context=False) == FULL_FRAMES


def test_five_seconds_take_a_sixth_of_the_full_context() -> None:
    assert context_frames(500, n_mels=80, short_context=True) == 600
