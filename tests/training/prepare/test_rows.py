"""Names of clips, and rows that cannot be used."""

import pytest

from training.prepare.rows import Row, clip_id, defect


def test_clip_ids_are_safe_and_stay_apart() -> None:
    assert clip_id("common_voice_sv-SE_1.mp3") == "common_voice_sv-SE_1"
    assert clip_id("å/b.c.wav") != clip_id("ä/b.c.wav")
    for name in ("../../x.wav", "/abs/x.wav", "a b.wav", "å.wav", "x" * 300 + ".wav", ".wav"):
        made = clip_id(name)
        assert made and len(made) < 100 and not set(made) & set("./ ")
    assert clip_id("a.wav", 0.5, None) == "a-500-end"


@pytest.mark.parametrize("text", ["<|0.00|> Hej på dig.<|1.20|>", "<|sv|><|transcribe|> Hej."])
def test_marks_of_whisper_in_a_text_are_told(text: str) -> None:
    assert "take such marks out" in defect(Row("a", "a.wav", text, "list.csv:2"))
    assert not defect(Row("a", "a.wav", "a < b | c > d <hej>", "list.csv:2"))
