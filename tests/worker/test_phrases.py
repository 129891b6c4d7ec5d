"""Where a transcript's segments begin and end."""

import pytest

from services.contract.schema import Word
from services.worker.phrases import LONG_S, phrases


def spoken(text: str, *, pace_s: float = 0.4, pauses: dict[str, float] | None = None) -> list[Word]:
    """Say words evenly, with a pause after some."""
    words, at = [], 0.0
    for word in text.split():
        words.append(Word(word=f" {word}", start=at, end=at + pace_s, probability=1.0))
        at += pace_s + (pauses or {}).get(word, 0.0)
    return words


def segments(words: list[Word]) -> list[str]:
    parts = ["".join(word.word for word in words[a:b]).strip() for a, b in phrases(words)]
    assert " ".join(parts) == "".join(word.word for word in words).strip(), "nothing is lost"
    return parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Vi ses på torsdag. Hur mår du?", ["Vi ses på torsdag.", "Hur mår du?"]),
        ("Kommer du, t.ex. på torsdag, bl.a. hem?", ["Kommer du, t.ex. på torsdag, bl.a. hem?"]),
        ("We then saw Mr. Smith and J. Doe.", ["We then saw Mr. Smith and J. Doe."]),
        ("Han sade 'kom hit.' Sedan gick han.", ["Han sade 'kom hit.'", "Sedan gick han."]),
        ("Vi kom som nummer 3. Det var bra.", ["Vi kom som nummer 3. Det var bra."]),
        ("Ja. Nej. Kanske.", ["Ja. Nej. Kanske."]),
        ("今天很好。 明天也是。 好。", ["今天很好。 明天也是。 好。"]),
        ("ett två tre fyra", ["ett två tre fyra"]),
    ],
)
def test_a_sentence_is_a_segment(text: str, expected: list[str]) -> None:
    assert segments(spoken(text)) == expected


def test_a_long_pause_ends_a_segment_whatever_stands_before_it() -> None:
    words = spoken("jag tror att hon kommer", pauses={"tror": 1.0, "att": 0.5})
    assert segments(words) == ["jag tror", "att hon kommer"]


def test_a_long_segment_is_cut_where_it_is_best() -> None:
    text = " ".join(["ord"] * 22 + ["vila"] + ["ord"] * 8 + ["komma,"] + ["ord"] * 18)
    assert [len(part.split()) for part in segments(spoken(text))] == [32, 18], "at the comma"
    parts = segments(spoken(text, pauses={"vila": 0.6}))
    assert [len(part.split()) for part in parts] == [23, 27], "at a pause that is worth more"
    even = segments(spoken(" ".join(["ord"] * 50)))
    assert [len(part.split()) for part in even] == [25, 25], "in the middle if nothing else"


def test_segments_do_not_end_up_longer_than_one_reads() -> None:
    words = spoken(" ".join(["ord"] * 200))
    assert all(words[b - 1].end - words[a].start <= LONG_S for a, b in phrases(words))


def test_no_words_are_no_segments() -> None:
    assert list(phrases([])) == []
