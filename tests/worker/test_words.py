"""Words keep to their segments."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.worker.engine import Engine
from services.worker.model import rows_of
from services.worker.segments import RawSegment
from services.worker.words import add_words


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
    encoded = rows_of(model.encode(model.log_mel(sound)[np.newaxis]), [0])
    add_words(model, tokenizer, segments, encoded, 300)
    for segment in segments:
        assert segment.words is not None
        assert "".join(word.word for word in segment.words) == segment.text
