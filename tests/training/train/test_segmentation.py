"""Our byte-pair merging: equal to the library's, short on request, seeded dropout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract.model_sources import demo_directory
from training.tokenizer import load_tokenizer
from training.train.segmentation import SHORT_TOKEN_CHARS, Segmenter

TOKENIZER = load_tokenizer(str(demo_directory()))
SEGMENTER = Segmenter(TOKENIZER, dropout=0.4)


def encode(text: str, mode: str, seed: int = 0) -> list[int]:
    return SEGMENTER.encode(text, mode, np.random.default_rng(seed))  # type: ignore[arg-type]


@given(st.text(alphabet="abcdeåäö ,.!?'’-ABÅé0159\n漢", max_size=40))
def test_full_segmentation_is_the_tokenizers_own(text: str) -> None:
    assert encode(text, "full") == TOKENIZER.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("mode", ["full", "short", "dropout"])
@given(text=st.text(alphabet="abcdeåäö ,.ABÅé", max_size=40))
def test_every_segmentation_decodes_to_the_same_text(mode: str, text: str) -> None:
    assert TOKENIZER.decode(encode(text, mode), clean_up_tokenization_spaces=False) == text


def test_short_tokens_are_short_and_whole_characters() -> None:
    text = " Trehundrafyrtiofem ödesmättade påskliljor på Östermalmsgatan."
    tokens = [TOKENIZER.decode([token]) for token in encode(text, "short")]
    assert max(len(token.strip()) for token in tokens) == SHORT_TOKEN_CHARS
    assert "".join(tokens) == text


def test_dropout_depends_on_the_seed_alone() -> None:
    text = " Kvart över sju på fredag i Örebro."
    assert encode(text, "dropout", 1) == encode(text, "dropout", 1)
    assert len({tuple(encode(text, "dropout", seed)) for seed in range(8)}) > 1
