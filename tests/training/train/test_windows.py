"""Windows: what is said is where the labels say it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from services.contract.errors import DataError
from tests.training.small_corpus import write_corpus
from training.prepare.shards import Clip, PreparedCorpus
from training.train.augment import change_speed, mask_spectrum, no_speech
from training.train.config import AugmentConfig
from training.train.features import SAMPLE_RATE
from training.train.spoken_times import SpokenTimes, read_spoken_times
from training.train.windows import (
    MAX_WINDOW_SAMPLES,
    build_window,
    first_of_window,
    text_before,
)

NONE = AugmentConfig()


def test_parts_of_a_joined_window_lie_where_their_sound_is(corpus: PreparedCorpus) -> None:
    clips = corpus.clips("train")[:3]
    window = build_window(corpus, clips, {}, NONE, np.random.default_rng(0))
    assert [part.text for part in window.parts] == [clip.text for clip in clips]
    for part, clip in zip(window.parts, clips, strict=True):
        first = round((part.start - (clip.start_s or 0)) * SAMPLE_RATE)
        samples = corpus.samples(clip)
        np.testing.assert_array_equal(window.samples[first : first + len(samples)], samples)


def test_window_never_exceeds_30_s(corpus: PreparedCorpus) -> None:
    clips = corpus.clips("train") * 20
    window = build_window(corpus, clips, {}, NONE, np.random.default_rng(0))
    assert len(window.samples) <= MAX_WINDOW_SAMPLES
    assert len(window.parts) < len(clips)
    end = window.parts[-1].end
    assert end is not None and end <= len(window.samples) / SAMPLE_RATE + 1e-6


def test_long_clip_is_not_slowed_down_past_its_end(tmp_path: Path) -> None:
    clips = [("Hej på dig.", 29.5, "talk")] * 3
    corpus = write_corpus(tmp_path / "prepared", {"train": clips})
    slow = AugmentConfig(speed_share=1.0, lead_share=1.0)
    for seed in range(8):
        window = build_window(corpus, corpus.clips("train"), {}, slow, np.random.default_rng(seed))
        [part] = window.parts
        assert part.end is not None and part.end <= 30
        assert part.end == pytest.approx(len(window.samples) / SAMPLE_RATE, abs=0.01)


def test_a_cut_window_ends_in_the_middle_of_a_clip(corpus: PreparedCorpus) -> None:
    clips = corpus.clips("train") * 20
    times = {clip.id: SpokenTimes((0.1, 0.2, 0.3), clip.duration_s) for clip in clips}
    for seed in range(5):
        generator = np.random.default_rng(seed)
        window = build_window(corpus, clips, times, NONE, generator, cut=True)
        *whole, last = window.parts
        assert len(window.samples) == MAX_WINDOW_SAMPLES
        assert all(part.end is not None and part.end <= 30 for part in whole)
        if last.end is None:
            assert last.start < 30
            assert len(last.text.split()) == len(last.word_starts) < len(clips[len(whole)].text)


def test_a_window_begins_where_the_rest_still_fills_it() -> None:
    assert first_of_window([10.0, 10.0, 10.0, 10.0, 10.0]) == 2
    assert first_of_window([10.0, 10.0]) == 0


def test_text_before_a_window_has_rising_times(corpus: PreparedCorpus) -> None:
    clips = corpus.clips("train")[:3]
    before = text_before(clips, {})
    assert [part.text for part in before] == [clip.text for clip in clips]
    assert [part.start for part in before] == sorted(part.start for part in before)


def test_speed_moves_times_along(corpus: PreparedCorpus) -> None:
    clip = corpus.clips("train")[0]
    times = {clip.id: SpokenTimes((0.2, 0.3, 0.4), 0.45)}
    config = AugmentConfig(speed_share=1.0)
    window = build_window(corpus, [clip], times, config, np.random.default_rng(1))
    speed = len(corpus.samples(clip)) / len(window.samples)
    assert window.parts[0].word_starts == pytest.approx(
        (0.2 / speed, 0.3 / speed, 0.4 / speed), 1e-3
    )
    assert window.parts[0].end == pytest.approx(0.45 / speed, 1e-3)


def test_same_seed_gives_the_same_sound(corpus: PreparedCorpus) -> None:
    config = AugmentConfig(speed_share=1, gain_share=1, noise_share=1, lead_share=1)
    windows = [
        build_window(corpus, corpus.clips("train")[:2], {}, config, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(windows[0].samples, windows[1].samples)
    assert len(windows[0].samples) != len(windows[2].samples)


def test_half_speed_is_twice_as_long() -> None:
    tone = np.sin(np.arange(1000) / 10).astype(np.float32)
    assert len(change_speed(tone, 0.5)) == 2000
    assert len(change_speed(tone[:1], 1.1)) == 1


def test_masks_stay_a_small_part_and_leave_the_input_alone() -> None:
    mel = np.random.default_rng(0).normal(size=(80, 400)).astype(np.float32)
    before = mel.copy()
    for seed in range(20):
        masked = mask_spectrum(mel, AugmentConfig(spec_share=1.0), np.random.default_rng(seed))
        assert (masked != mel).mean() < 0.5
    np.testing.assert_array_equal(mel, before)


def test_no_speech_is_quiet_and_short() -> None:
    for seed in range(20):
        samples = no_speech(np.random.default_rng(seed))
        assert 0.5 <= len(samples) / SAMPLE_RATE <= 5 and np.abs(samples).max() <= 1


def clip(clip_id: str, duration_s: float, start_s: float, end_s: float) -> Clip:
    return Clip(clip_id, "a b", duration_s, "", "train", "", 0, 0, start_s, end_s, "")


def write_times(path: Path, *rows: tuple[str, float]) -> Path:
    words = [
        {"word": "a", "start": 1.0, "end": 1.4},
        {"word": "b", "start": 1.4, "end": 2.0},
    ]
    lines = [
        json.dumps({"path": f"{name}.wav", "duration_s": s, "words": words}) for name, s in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_times_follow_the_trimming(tmp_path: Path) -> None:
    path = write_times(tmp_path / "t.jsonl", ("kept", 3.0), ("cut", 3.0), ("noisy", 3.0))
    clips = [
        clip("kept", 3.0, 0.2, 2.9),  # not trimmed: released times, whatever was heard
        clip("cut", 1.3, 0.15, 1.15),  # trimmed by 0.85 s in front
        clip("noisy", 2.5, 0.15, 2.4),  # trimmed, but it ends elsewhere: not certain
    ]
    times = read_spoken_times(path, clips)
    assert times["kept"] == SpokenTimes((1.0, 1.4), 2.0)
    assert times["cut"].word_starts == pytest.approx((0.15, 0.55))
    assert "noisy" not in times


def test_bad_line_of_times_is_named(tmp_path: Path) -> None:
    path = write_times(tmp_path / "t.jsonl", ("a", 1.0))
    path.write_text(path.read_text() + '{"path": "b.wav"}\n')
    with pytest.raises(DataError, match=r"t\.jsonl:2"):
        read_spoken_times(path, [])
