"""A corpus small enough to be made in a second, with words from a list of its own."""

from pathlib import Path

import pytest

from training.synthesize.config import SynthesizeConfig


@pytest.fixture
def small(tmp_path: Path) -> SynthesizeConfig:
    """Config of a corpus of 24 clips that needs no installed word list."""
    syllables = ("ba", "le", "mi", "so", "tu", "vå", "fä", "gö")
    words = [a + b + c for a in syllables for b in syllables for c in syllables]
    word_list = tmp_path / "words"
    word_list.write_text("\n".join(words), encoding="utf-8")
    return SynthesizeConfig(
        n_train=16, n_dev=4, n_test=4, n_speakers=6, dictionary_file=word_list, audio_format="flac"
    )
