"""The decoder's input and targets: one start token, loss where it belongs, Whisper's order."""

import numpy as np

from training.train.labels import IGNORE_INDEX, MAX_TOKENS, NO_TIME, LabelWriter, SpokenText

PARTS = (SpokenText("Hej på dig.", 0.5, 1.3), SpokenText("Noll åtta.", 2.0, 2.9))


def seeds_with(writer: LabelWriter, with_timestamps: bool) -> np.random.Generator:
    """Return a generator whose first draw decides for or against timestamps."""
    for seed in range(100):
        if (np.random.default_rng(seed).random() < 0.5) == with_timestamps:
            return np.random.default_rng(seed)
    raise AssertionError("no such seed")


def test_text_without_timestamps(writer: LabelWriter) -> None:
    special = writer.special
    target = writer.write(PARTS, None, seeds_with(writer, False))
    opening = [special.start, special.language, special.task, special.no_timestamps]
    assert target.input_ids[:4] == opening
    assert target.labels[:3] == opening[1:]
    assert target.labels[-1] == special.end
    assert target.input_ids[1:] == target.labels[:-1]
    assert target.input_ids.count(special.start) == 1
    assert writer.decode(target.labels) == "Hej på dig. Noll åtta."


def test_timestamps_enclose_each_part(writer: LabelWriter) -> None:
    special = writer.special
    target = writer.write(PARTS, None, seeds_with(writer, True))
    stamps = [id_ for id_ in target.labels if id_ >= special.first_timestamp]
    assert stamps == [special.timestamp(seconds) for seconds in (0.5, 1.3, 2.0, 2.9)]
    assert special.no_timestamps not in target.labels
    assert target.labels[2] == special.timestamp(0.5)


def test_times_rise_within_the_parts(writer: LabelWriter) -> None:
    target = writer.write(PARTS, None, seeds_with(writer, False))
    spoken = [time for time in target.times if time != NO_TIME]
    assert spoken == sorted(spoken)
    assert 0.5 < spoken[0] < 1.3 and 2.0 < spoken[-1] < 2.9
    assert target.times[-1] == NO_TIME


def test_prompt_carries_no_loss(writer: LabelWriter) -> None:
    special = writer.special
    target = writer.write(PARTS, "Malmö, Lund", seeds_with(writer, False))
    start = target.input_ids.index(special.start)
    assert target.input_ids[0] == special.previous
    assert set(target.labels[:start]) == {IGNORE_INDEX}
    assert target.labels[start] == special.language


def test_long_prompt_is_cut_at_its_start(writer: LabelWriter) -> None:
    target = writer.write(PARTS, "ord " * 600 + "sist", seeds_with(writer, False))
    assert len(target.input_ids) == len(target.labels) == len(target.times) <= MAX_TOKENS
    before = target.input_ids[: target.input_ids.index(writer.special.start)]
    assert writer.decode(before).endswith("sist")
    assert writer.decode([id_ for id_ in target.labels if id_ >= 0]) == "Hej på dig. Noll åtta."


def test_no_speech_is_said_at_the_start_token(writer: LabelWriter) -> None:
    special = writer.special
    target = writer.write_no_speech(seeds_with(writer, False))
    assert target.labels[target.input_ids.index(special.start)] == special.no_speech
    assert target.labels[-1] == special.end


def test_long_form_has_the_text_before_as_its_prompt_and_no_end_for_a_cut_part(
    writer: LabelWriter,
) -> None:
    special = writer.special
    parts = (PARTS[0], SpokenText("Noll", 28.0, None, (28.0,)))
    target = writer.write_long_form(parts, PARTS, np.random.default_rng(0))
    start = target.input_ids.index(special.start)
    prompt = target.input_ids[1:start]
    assert writer.decode(prompt) == "Hej på dig. Noll åtta."
    assert prompt[0] == special.timestamp(0.5) and prompt[-1] == special.timestamp(2.9)
    assert set(target.labels[:start]) == {IGNORE_INDEX}
    assert writer.decode(target.labels[start:]) == "Hej på dig."
    assert target.labels[-3:] == [
        special.timestamp(1.3),
        special.timestamp(28.0),
        special.end,
    ]
