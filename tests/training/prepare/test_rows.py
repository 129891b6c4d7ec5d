"""Names of clips."""

from training.prepare.rows import clip_id


def test_clip_ids_are_safe_and_stay_apart() -> None:
    assert clip_id("common_voice_sv-SE_1.mp3") == "common_voice_sv-SE_1"
    assert clip_id("å/b.c.wav") != clip_id("ä/b.c.wav")
    for name in ("../../x.wav", "/abs/x.wav", "a b.wav", "å.wav", "x" * 300 + ".wav", ".wav"):
        made = clip_id(name)
        assert made and len(made) < 100 and not set(made) & set("./ ")
    assert clip_id("a.wav", 0.5, None) == "a-500-end"
