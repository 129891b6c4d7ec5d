"""Each filter on its own: what it drops, what it says, and what it leaves alone."""

import numpy as np
import pytest

from training.prepare.audio import Sound
from training.prepare.config import FilterConfig
from training.prepare.filters import ROW_FILTERS, SOUND_FILTERS, tokens_filter
from training.prepare.rows import Row

CONFIG = FilterConfig()
ROW_FILTER = {filter_.name: filter_ for filter_ in ROW_FILTERS}
SOUND_FILTER = {filter_.name: filter_ for filter_ in SOUND_FILTERS}


def row(text: str = "Hej på dig.", **facts: object) -> Row:
    return Row(id="a", audio="a.mp3", text=text, where="train.tsv:2", **facts)  # type: ignore[arg-type]


def sound(duration_s: float = 2.0, **facts: object) -> Sound:
    samples = np.zeros(round(duration_s * 16_000), np.int16)
    usual = {"peak_dbfs": -6.0, "clipped_share": 0.0, "start_s": 0.2, "end_s": duration_s - 0.2}
    return Sound(samples, **{**usual, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "dropped", "why"),
    [
        ("empty_text", row(" … "), "no letter or digit"),
        ("script", row("Привет Anna"), "letters of another script: П в е и р т"),
        ("votes", row(up_votes=2, down_votes=2), "2 votes for, 2 against"),
        ("reported", row(reported=True), "the sentence was reported"),
    ],
)
def test_row_filter_drops_and_says_why(name: str, dropped: Row, why: str) -> None:
    assert ROW_FILTER[name].ask(dropped, CONFIG).startswith(why)
    assert ROW_FILTER[name].ask(row("Åh, 3 °C på Öland – café?", up_votes=2), CONFIG) == ""


def test_row_filters_can_be_switched_off() -> None:
    off = FilterConfig(votes=False, reported=False, latin_only=False, keep_empty_text=True)
    every = row("…Привет", down_votes=9, reported=True)
    assert [filter_.ask(every, off) for filter_ in ROW_FILTERS] == ["", "", "", ""]


def test_text_that_does_not_fit_the_decoder_is_dropped() -> None:
    words = tokens_filter(lambda text: len(text.split()))
    assert words.ask(row("ord " * 216), CONFIG) == ""
    assert words.ask(row("ord " * 217), CONFIG) == "217 tokens, at most 216 fit"
    assert words.ask(row("ord " * 440), FilterConfig(max_prompt_tokens=0)) == ""
    assert words.evaluation


@pytest.mark.parametrize(
    ("name", "dropped", "why"),
    [
        ("duration", sound(31.0), "31.00 s, longer than 30 s"),
        ("duration", sound(0.2), "0.20 s, shorter than 0.3 s"),
        ("silence", sound(peak_dbfs=-60.0), "loudest sample at -60.0 dBFS"),
        ("silence", sound(start_s=None, end_s=None), "only 0.00 s stand out"),
        ("clipping", sound(clipped_share=0.1), "10.0% of the samples"),
        ("chars_per_s", sound(0.6), "55.0 characters per second"),
        ("chars_per_s", sound(20.0), "0.6 characters per second"),
    ],
)
def test_sound_filter_drops_and_says_why(name: str, dropped: Sound, why: str) -> None:
    assert SOUND_FILTER[name].ask(row(), dropped, CONFIG).startswith(why)
    assert SOUND_FILTER[name].ask(row(), sound(), CONFIG) == ""


def test_noise_without_text_is_not_judged_as_speech() -> None:
    noise = sound(3.0, start_s=None, end_s=None, peak_dbfs=-50.0)
    assert {filter_.ask(row(""), noise, CONFIG) for filter_ in SOUND_FILTERS} == {""}


def test_short_clips_of_a_test_set_stay() -> None:
    assert SOUND_FILTER["duration"].ask(row(split="test"), sound(0.2), CONFIG) == ""
    assert SOUND_FILTER["duration"].ask(row(split="test"), sound(31.0), CONFIG) != ""


def test_only_what_cannot_be_used_leaves_dev_and_test() -> None:
    filters = [*ROW_FILTERS, *SOUND_FILTERS]
    assert {filter_.name for filter_ in filters if filter_.evaluation} == {"empty_text", "duration"}
