import random
from itertools import islice
from pathlib import Path

import pytest

from services.contract.errors import DataError
from training.synthesize import dictionary
from training.synthesize.config import SynthesizeConfig


def test_only_plain_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(
        "Anna\nA-aktie\nbåtar\nbåtar\nå\nkm\nhrm\nkafé\nisn't\nNATO\n".encode("latin-1")
    )
    assert dictionary.read_words(path) == ["båtar", "kafé"]


def test_utf8_lists_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("önskan\när\när\n", encoding="utf-8")
    assert dictionary.read_words(path) == ["önskan"]


def test_missing_list_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wswedish"):
        dictionary.read_words(tmp_path / "none")


def test_list_without_words(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("A\nB\n")
    with pytest.raises(DataError, match="no lower-case words"):
        dictionary.read_words(path)


def test_every_word_comes_once_before_any_comes_twice() -> None:
    words = [f"ord{letter}" for letter in "abcdefghijklmnop"]
    drawn = islice(dictionary.sequences(words, 4, random.Random(3)), 40)
    dealt = [word for sentence in drawn for word in sentence.text.lower().strip(".").split()]
    assert sorted(dealt[: len(words)]) == words


def test_sequences_have_two_to_six_words() -> None:
    drawn = islice(dictionary.sequences(["ett", "två", "tre"], 6, random.Random(3)), 200)
    assert {len(sentence.text.split()) for sentence in drawn} == {2, 3, 4, 5, 6}


@pytest.mark.skipif(
    not SynthesizeConfig().dictionary_file.exists(), reason="package wswedish is not installed"
)
def test_the_installed_list_is_large() -> None:
    words = dictionary.read_words(SynthesizeConfig().dictionary_file)
    assert len(words) > 50_000
    assert "kärlek" in words
