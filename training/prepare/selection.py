"""Filters that remember: what a row shares with the rows before it decides.

Each is shown every row, test first, then dev, train and extra; a row of dev or test is remembered,
never dropped. So a clip that is in test cannot come back in train.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from training.prepare.config import FilterConfig
from training.prepare.labels import sentence_key
from training.prepare.rows import Drop, Row
from training.prepare.splits import EVALUATION_SPLITS

Ask = Callable[[Row], str]


@dataclasses.dataclass(frozen=True)
class SetFilter:
    """Judges a row against all rows before it; `start` returns a fresh memory."""

    name: str
    version: int
    start: Callable[[FilterConfig], Ask]


def _duplicate_audio(config: FilterConfig) -> Ask:
    first: dict[str, str] = {}

    def ask(row: Row) -> str:
        other = first.setdefault(row.audio_sha256, row.where)
        return "" if other == row.where else f"the same audio as {other}"

    return ask


def _duplicate_sentence(config: FilterConfig) -> Ask:
    first: dict[tuple[str, str], str] = {}

    def ask(row: Row) -> str:
        key = (row.speaker, sentence_key(row.text))
        if not (config.duplicate_sentences and all(key)):
            return ""
        other = first.setdefault(key, row.where)
        return "" if other == row.where else f"the same speaker and sentence as {other}"

    return ask


def _held_out(config: FilterConfig) -> Ask:
    """Keep out of extra whatever dev or test know; released splits are taken as they are."""
    sentences: set[str] = set()
    speakers: set[str] = set()

    def ask(row: Row) -> str:
        if row.split in EVALUATION_SPLITS:
            sentences.add(sentence_key(row.text))
            speakers.add(row.speaker)
        elif row.split == "extra" and row.speaker and row.speaker in speakers:
            return "its speaker is in dev or test"
        elif row.split == "extra" and row.text and sentence_key(row.text) in sentences:
            return "its sentence is in dev or test"
        return ""

    return ask


def _repeats(config: FilterConfig) -> Ask:
    times: Counter[str] = Counter()

    def ask(row: Row) -> str:
        key = sentence_key(row.text)
        if row.split in EVALUATION_SPLITS or not key:
            return ""
        times[key] += 1
        many = times[key] > config.max_repeats_per_sentence
        return f"clip {times[key]} of {row.text[:60]!r}" if many else ""

    return ask


SET_FILTERS = (
    SetFilter("duplicate_audio", 1, _duplicate_audio),
    SetFilter("held_out", 1, _held_out),
    SetFilter("duplicate_sentence", 1, _duplicate_sentence),
    SetFilter("repeated_sentence", 1, _repeats),
)


def select(rows: Iterable[Row], config: FilterConfig) -> Iterator[Row | Drop]:
    """Ask every filter about every row, in the given order; the first answer drops it."""
    questions = [(filter_.name, filter_.start(config)) for filter_ in SET_FILTERS]
    taken: dict[str, str] = {}
    for row in rows:
        answers = (Drop(name, row.where, why) for name, ask in questions if (why := ask(row)))
        if row.split in EVALUATION_SPLITS:
            list(answers)  # every filter has to see the row, and none may drop it
        elif drop := next(answers, None):
            yield drop
            continue
        yield _with_own_id(row, taken)


def _with_own_id(row: Row, taken: dict[str, str]) -> Row | Drop:
    """Keep ids apart that two files share, such as a.mp3 and a.wav."""
    if taken.get(row.id, row.audio_sha256) != row.audio_sha256:
        row = dataclasses.replace(row, id=f"{row.id}-{row.audio_sha256[:8]}")
    if row.id in taken:
        return Drop("duplicate_audio", row.where, f"{row.audio} is listed twice")
    taken[row.id] = row.audio_sha256
    return row
