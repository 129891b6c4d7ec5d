"""How many frames the encoder is given for a window: one rule for the server and for its proof.

A bundle is marked short_context because evaluation decoded with exactly these lengths, so the
worker must cut exactly the same. The rule looks at one window alone: a transcript never depends
on the neighbours in its batch, which all have the same number of frames.
"""

FULL_FRAMES = 3000
"""30 s at 10 ms per frame, what every Whisper was trained on."""
BUCKET_FRAMES = 100
"""Steps of 1 s: few enough lengths to fill batches."""
MARGIN_FRAMES = 16
"""Silence after the last sample, as in training, so that the end of speech is heard as an end."""
MIN_FRAMES = 200
"""Shorter contexts save nothing and lose accuracy."""


def context_frames(n_frames: int, *, n_mels: int, short_context: bool) -> int:
    """Return the length to which a window's log-mel is padded with zeros.

    Args:
        n_frames: frames of the window itself, at most FULL_FRAMES.
        n_mels: mel bands of the model.
        short_context: whether the bundle allows anything but FULL_FRAMES.
    """
    if not short_context:
        return FULL_FRAMES
    buckets = -(-(n_frames + MARGIN_FRAMES) // BUCKET_FRAMES)
    frames = min(FULL_FRAMES, max(MIN_FRAMES, buckets * BUCKET_FRAMES))
    # CTranslate2 (is_encoded in layers/whisper.h) takes an encoder output whose length equals the
    # number of mel bands for features and encodes it again.
    return frames + BUCKET_FRAMES if frames // 2 == n_mels else frames
