"""Words to segments as a person would write them: sentences, and what longer pauses part.

Pure functions over words in the recording's time, where what was cut out between two stretches of
speech is a pause as well.
"""

from collections.abc import Iterator, Sequence

from services.contract.punctuation import SENTENCE_ENDS
from services.contract.schema import Seconds, Word

#: A pause that ends a segment whatever stands before it.
PAUSE_S: Seconds = 0.8
#: A longer segment is cut where it is best, as one reads and clicks on segments.
LONG_S: Seconds = 15.0
#: No cut leaves less than this.
LEAST_S: Seconds = 1.0
#: A comma is as good a place for a cut as a pause that is longer by this.
_COMMA_S: Seconds = 0.3
_CLAUSE_ENDS = (",", ";", ":", "–", "、", "，")
_CLOSING = "\"'”’»)]}"
#: "Mr.", "St.", "J.": so short and with a capital, it is no end of a sentence.
_ABBREVIATION_CHARS = 3


def phrases(words: Sequence[Word]) -> Iterator[tuple[int, int]]:
    """Yield where each segment begins and ends, as indices into the words, in order."""
    begin = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or _parts(words, begin, end):
            yield from _cut_long(words, begin, end)
            begin = end


def _parts(words: Sequence[Word], begin: int, at: int) -> bool:
    """Whether a segment that began at `begin` ends before the word `at`."""
    if _gap(words, at) >= PAUSE_S:
        return True
    ended = words[at - 1].end - words[begin].start >= LEAST_S
    return ended and _ends_sentence(words[at - 1].word) and not _begins_lower(words[at].word)


def _cut_long(words: Sequence[Word], begin: int, end: int) -> Iterator[tuple[int, int]]:
    places = _places(words, begin, end)
    if words[end - 1].end - words[begin].start <= LONG_S or not places:
        yield begin, end
        return
    middle = (words[begin].start + words[end - 1].end) / 2
    at = max(places, key=lambda place: (_worth(words, place), -abs(words[place].start - middle)))
    yield from _cut_long(words, begin, at)
    yield from _cut_long(words, at, end)


def _places(words: Sequence[Word], begin: int, end: int) -> list[int]:
    """Return the words before which a long segment may be cut."""
    first, last = words[begin].start + LEAST_S, words[end - 1].end - LEAST_S
    return [at for at in range(begin + 1, end) if first <= words[at].start <= last]


def _worth(words: Sequence[Word], at: int) -> Seconds:
    """Return how good a place for a cut is, as the pause that it is worth."""
    is_clause = words[at - 1].word.strip().endswith((*_CLAUSE_ENDS, *SENTENCE_ENDS))
    return round(max(0.0, _gap(words, at)) + _COMMA_S * is_clause, 1)


def _gap(words: Sequence[Word], at: int) -> Seconds:
    return words[at].start - words[at - 1].end


def _ends_sentence(word: str) -> bool:
    bare = word.strip().rstrip(_CLOSING)
    if not bare.endswith(SENTENCE_ENDS):
        return False
    letters = bare.rstrip(".")
    is_abbreviation = letters[:1].isupper() and len(letters) <= _ABBREVIATION_CHARS
    return not (bare.endswith(".") and (is_abbreviation or letters.isdigit()))


def _begins_lower(word: str) -> bool:
    return next((char.islower() for char in word if char.isalnum()), False)
