"""How much context the encoder gets, and how much text may come out of it: what the gate of
training measures and the worker serves.

Whisper pads every window to 30 s. A bundle that was trained for it takes shorter input; then a
window is padded to the next length of this list, chosen by its own length alone, so that windows
of one length share a batch and no transcript depends on its neighbours.
"""

FULL_CONTEXT_FRAMES = 3000
FRAMES_PER_SECOND = 100
WINDOW_S = FULL_CONTEXT_FRAMES // FRAMES_PER_SECOND

# Training always leaves at least this much after the last sound.
_MARGIN_FRAMES = 16
# No one speaks faster: a transcript that loops stops here instead of at 448 tokens.
_TOKENS_PER_SECOND = 25
_SPARE_TOKENS = 16
# Few lengths fill batches, many waste less. CTranslate2 takes an encoder output of `n_mels`
# positions (half the frames, so 160 or 256 frames) for features again: neither is in the list.
# Source: CTranslate2 include/ctranslate2/layers/whisper.h, is_encoded.
CONTEXTS = (200, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000, 2500, FULL_CONTEXT_FRAMES)


def context_frames(n_frames: int, *, short_context: bool) -> int:
    """Return how many frames the encoder gets for a window of `n_frames` (10 ms each)."""
    if not short_context:
        return FULL_CONTEXT_FRAMES
    wanted = n_frames + _MARGIN_FRAMES
    return next((context for context in CONTEXTS if context >= wanted), FULL_CONTEXT_FRAMES)


def text_room(context: int) -> int:
    """Return how many tokens of text a window of `context` frames may give."""
    return _SPARE_TOKENS + _TOKENS_PER_SECOND * context // FRAMES_PER_SECOND
