"""Words keep to their segments, and windows to themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.engine import Engine
from services.worker.segments import RawSegment, whole_window
from services.worker.words import Said, add_words


@pytest.mark.parametrize("texts", [(" Hej du.", " Vem där?"), ("Hej du.", "Vem där?", "ingen")])
def test_a_word_ends_with_its_segment(
    texts: tuple[str, ...], open_engine: Callable[[Path], Engine], short_bundle_dir: Path
) -> None:
    """A model tuned on labels without the space before them begins each segment without one."""
    model = open_engine(short_bundle_dir).model
    tokenizer = model.tokenizer("sv", "transcribe")
    start = tokenizer.timestamp_begin
    segments = [
        RawSegment(i, i + 1, [start + 50 * i, *tokenizer.encode(text), start + 50 * i + 50], text)
        for i, text in enumerate(texts)
    ]
    sound = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    encoded = model.encode(model.log_mel(sound)[np.newaxis])
    add_words(model, [Said(0, "sv", "transcribe", segments, 300)], encoded)
    for segment in segments:
        assert segment.words is not None
        assert "".join(word.word for word in segment.words) == segment.text
        tokens = [token for word in segment.word_tokens for token in word]
        assert tokens == [token for token in segment.tokens if token < tokenizer.eot]
        assert len(segment.word_tokens) == len(segment.words)


def test_words_do_not_depend_on_the_neighbours_in_the_batch(
    open_engine: Callable[[Path], Engine], short_bundle_dir: Path
) -> None:
    """Windows of two languages, one of them without text, of different lengths."""
    model = open_engine(short_bundle_dir).model
    sound = np.random.default_rng(2).normal(0, 0.1, (4, 48_000)).astype(np.float32)
    encoded = model.encode(np.stack([model.log_mel(samples) for samples in sound]))
    texts = [(" Hej du, vem där?", "sv"), ("", "sv"), (" Good morning.", "en"), (" Ja.", "sv")]

    def said() -> list[Said]:
        tokenizer = model.tokenizer("sv", "transcribe")
        return [
            Said(
                row,
                language,
                "transcribe",
                whole_window(tokenizer, tokenizer.encode(text), 3.0),
                300 - 50 * row,
            )
            for row, (text, language) in enumerate(texts)
        ]

    together, alone = said(), said()
    add_words(model, together, encoded)
    for window in alone:
        add_words(model, [window], encoded)
    for one, other in zip(together, alone, strict=True):
        assert [s.words is not None for s in one.segments] == [True] * len(one.segments)
        for segment, same in zip(one.segments, other.segments, strict=True):
            times = [(word.word, word.start, word.end) for word in segment.words or ()]
            assert times == [(word.word, word.start, word.end) for word in same.words or ()]


def test_a_word_after_a_pause_is_cut_by_its_own_window(
    open_engine: Callable[[Path], Engine], short_bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alignment gives the first word the pause before it. Where speech ended in the window of
    somebody else tells nothing of how long that was.
    """
    model = open_engine(short_bundle_dir).model
    real, times = model.loop.find_alignment, [(0.0, 2.0), (2.0, 2.3), (2.3, 2.6)]

    def slow(*arguments: Any) -> Any:
        return [
            [
                {**word, "start": start, "end": end}
                for word, (start, end) in zip(row, times, strict=True)
            ]
            for row in real(*arguments)
        ]

    monkeypatch.setattr(model.loop, "find_alignment", slow)
    tokenizer = model.tokenizer("sv", "transcribe")
    tokens = tokenizer.encode(" Hej du där")
    windows = [
        Said(row, "sv", "transcribe", whole_window(tokenizer, tokens, 3.0), 300) for row in (0, 1)
    ]
    sound = np.random.default_rng(1).normal(0, 0.1, (2, 48_000)).astype(np.float32)
    add_words(model, windows, model.encode(np.stack([model.log_mel(s) for s in sound])))
    for window in windows:
        first, *others = window.segments[0].words or ()
        assert (first.start, first.end) == pytest.approx((1.4, 2.0))
        assert [(word.start, word.end) for word in others] == times[1:]


def test_words_share_the_time_where_an_alignment_tells_nothing(
    open_engine: Callable[[Path], Engine], short_bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As float16 has done to a model whose heads are very sure of where they look."""
    model = open_engine(short_bundle_dir).model
    real = model.loop.find_alignment

    def timeless(*arguments: Any) -> Any:
        return [[{**word, "start": 0.0, "end": 0.0} for word in row] for row in real(*arguments)]

    monkeypatch.setattr(model.loop, "find_alignment", timeless)
    tokenizer = model.tokenizer("sv", "transcribe")
    segments = whole_window(tokenizer, tokenizer.encode(" Hej hej du."), 3.0)
    sound = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    encoded = model.encode(model.log_mel(sound)[np.newaxis])
    add_words(model, [Said(0, "sv", "transcribe", segments, 300)], encoded)
    words = segments[0].words or ()
    assert [word.word for word in words] == [" Hej", " hej", " du."]
    assert [(word.start, word.end) for word in words] == [(0, 1), (1, 2), (2, 3)]
