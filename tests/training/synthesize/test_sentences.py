import random
import re

import pytest

from training.synthesize import sentences, words
from training.synthesize.slots import SLOTS

ALL_PATTERNS = [pattern for patterns in sentences.PATTERNS.values() for pattern in patterns]
DRAWN = [sentences.draw(random.Random(n)) for n in range(3000)]


def test_there_are_patterns_enough_for_every_domain() -> None:
    assert len(set(ALL_PATTERNS)) >= 60
    assert set(sentences.PATTERNS) >= {
        "one_word", "digits", "numbers", "prices", "percentages", "clock", "dates", "weekdays",
        "weather", "towns", "family", "food", "home", "travel", "errands", "health", "office",
        "questions", "requests", "greetings",
    }  # fmt: skip
    assert {sentence.domain for sentence in DRAWN} == set(sentences.PATTERNS)


@pytest.mark.parametrize("slot", sorted(SLOTS))
def test_every_slot_gives_words(slot: str) -> None:
    drawn = {SLOTS[slot](random.Random(n)) for n in range(20)}
    assert len(drawn) > 1
    assert all(re.fullmatch(r"[A-Za-zÅÄÖåäöéü, ]+", text) for text in drawn), drawn


def test_every_pattern_can_be_filled() -> None:
    for pattern in ALL_PATTERNS:
        assert "{" not in sentences.fill(pattern, random.Random(1))


def test_labels_are_words_with_a_capital_and_a_full_stop() -> None:
    for sentence in DRAWN:
        assert re.fullmatch(r"[A-ZÅÄÖ][A-Za-zÅÄÖåäöéü, ]*[.?!]", sentence.text), sentence.text
        assert "  " not in sentence.text


def test_one_word_utterances_are_there() -> None:
    texts = {sentence.text for sentence in DRAWN}
    assert {"Ja.", "Nej.", "Noll.", "Nio."} <= texts


def test_the_vocabulary_has_a_thousand_words() -> None:
    vocabulary: set[str] = set()
    for name, entries in vars(words).items():
        if name.isupper():
            for entry in entries:
                vocabulary |= set(" ".join(entry if isinstance(entry, tuple) else (entry,)).split())
    assert len(vocabulary) >= 1000


def test_every_noun_is_neuter_or_common() -> None:
    for nouns in (words.FOOD, words.THINGS, words.ANIMALS, words.PLACES, words.PEOPLE):
        assert {noun.article for noun in nouns} <= {"en", "ett"}


def test_as_sentence_keeps_a_question_a_question() -> None:
    assert sentences.as_sentence(" är  du här?") == "Är du här?"
    assert sentences.as_sentence("ja") == "Ja."
    for ended in ("Vänta…", 'Han sa "hej!"', "Hon sa ”hej.”", "Han kom (sent.)"):
        assert sentences.as_sentence(ended) == ended
