"""The tokenizer is Whisper's, and files that are not are refused."""

import base64
from pathlib import Path

import pytest

from services.contract.errors import TokenizerError
from services.contract.model_sources import demo_directory
from training.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer

# From openai/whisper's tokenizer with the multilingual vocabulary.
KNOWN = {
    "<|endoftext|>": 50257,
    "<|startoftranscript|>": 50258,
    "<|sv|>": 50273,
    "<|transcribe|>": 50359,
    "<|startofprev|>": 50361,
    "<|nospeech|>": 50362,
    "<|notimestamps|>": 50363,
    "<|0.00|>": 50364,
    "<|30.00|>": 51864,
}


def test_bundled_tokenizer_has_whispers_ids() -> None:
    tokenizer = load_tokenizer(str(demo_directory()))
    assert len(tokenizer) == 51865
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in KNOWN} == KNOWN
    assert tokenizer.encode("Hej på dig", add_special_tokens=False) == [5205, 73, 4170, 2528]


def test_file_of_a_tokenizer_will_do() -> None:
    assert len(load_tokenizer(str(demo_directory() / "tokenizer.json"))) == 51865


def test_saved_tokenizer_is_compact_and_the_same(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(demo_directory()))
    save_tokenizer(tokenizer, tmp_path)
    text = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    assert "\n" not in text.strip()
    again = load_tokenizer(str(tmp_path))
    assert again.encode(" Ärligt talat.") == tokenizer.encode(" Ärligt talat.")


@pytest.mark.parametrize("content", ["", "not base64 at all", f"{base64.b64encode(b'a')!r} x"])
def test_file_that_is_no_vocabulary_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "multilingual.tiktoken"
    path.write_text(content)
    with pytest.raises(TokenizerError, match="multilingual"):
        build_tokenizer(path, tmp_path / "out")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="nothing.tiktoken"):
        build_tokenizer(tmp_path / "nothing.tiktoken", tmp_path / "out")


def test_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="tokenizer"):
        load_tokenizer(str(tmp_path))
