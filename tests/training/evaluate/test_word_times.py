from pathlib import Path

import pytest

from services.contract.errors import DataError
from tests.training.small_corpus import LEAD_S, write_corpus
from training.evaluate.long_form import join
from training.evaluate.word_times import TimedWord, normalised, read_word_times, start_errors


def _timed(text: str, *starts: float | None) -> list[TimedWord]:
    return [TimedWord(word, start) for word, start in zip(text.split(), starts, strict=True)]


def test_only_understood_words_with_known_times_count() -> None:
    truth = _timed("a b c d", 0.0, 1.0, 2.0, None)
    found = _timed("a x c d", 0.25, 1.0, 1.5, 3.0)
    assert start_errors(truth, found) == [0.25, 0.5]


def test_word_that_splits_keeps_its_start_once() -> None:
    assert normalised([TimedWord("E-post,", 1.0)]) == _timed("e post", 1.0, None)


def test_word_times_are_read_by_clip_id(tmp_path: Path) -> None:
    path = tmp_path / "word_times.jsonl"
    path.write_text('{"path": "a-1.wav", "words": [{"word": "Hej", "start": 0.1, "end": 0.4}]}\n')
    assert read_word_times(path) == {"a-1": [TimedWord("Hej", 0.1)]}
    path.write_text('{"path": "a-1.wav", "words": []}\n{"path": "b"}\n')
    with pytest.raises(DataError, match=r"word_times.jsonl:2"):
        read_word_times(path)


def test_joined_clips_know_where_their_words_start(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c", {"test": [("Ett två.", 1.0, ""), ("Tre.", 2.0, "")]})
    clips = corpus.clips("test")
    recording = join(corpus, clips, {"test-000": _timed("Ett två.", 0.2, 0.6)}, 60)
    assert recording.duration_s == pytest.approx(1.0 + 2.0 + 3 * 0.5)
    starts = {timed.word: timed.start_s for timed in recording.words}
    offset = {0.2 + 0.5: "first", 0.2 + 0.5 + 2.0 + 0.5: "second"}
    assert starts["ett"] is not None
    assert round(starts["ett"], 6) in {round(value, 6) for value in offset}
    assert starts["två"] == pytest.approx(starts["ett"] + 0.4)
    other_offset = 0.5 if starts["ett"] > 1 else 0.5 + 1.0 + 0.5
    assert starts["tre"] == pytest.approx(LEAD_S + other_offset)
