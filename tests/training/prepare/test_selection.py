"""What keeps splits apart: duplicates, held-out speakers and sentences, repeats."""

import random

import pytest

from training.prepare.config import FilterConfig, SplitConfig
from training.prepare.rows import Drop, Row
from training.prepare.selection import select
from training.prepare.splits import assign, in_order


def row(number: int, split: str, text: str = "", speaker: str = "", audio: str = "") -> Row:
    return Row(
        id=f"clip{number}",
        audio=f"clip{number}.mp3",
        text=text or f"Mening {number}.",
        where=f"{split}.tsv:{number}",
        speaker=speaker or f"speaker{number}",
        split=split,
        audio_sha256=audio or f"sha{number}",
    )


def outcome(rows: list[Row], **config: object) -> tuple[list[str], dict[str, str]]:
    """Return the ids that stay and, for each row that goes, the filter that took it."""
    answers = list(select(in_order(rows), FilterConfig.model_validate(config)))
    kept = [answer.id for answer in answers if isinstance(answer, Row)]
    return kept, {answer.where: answer.filter for answer in answers if isinstance(answer, Drop)}


def test_extra_loses_every_speaker_and_sentence_of_dev_and_test() -> None:
    rows = [
        row(1, "test", "En katt.", "anna"),
        row(2, "dev", "En hund.", "bo"),
        row(3, "train", "EN KATT", "cia"),
        row(4, "extra", "Något annat.", "anna"),
        row(5, "extra", "en hund!", "dan"),
        row(6, "extra", "Något tredje.", "eva"),
    ]
    kept, dropped = outcome(rows)
    assert kept == ["clip1", "clip2", "clip3", "clip6"]
    assert dropped == {"extra.tsv:4": "held_out", "extra.tsv:5": "held_out"}


def test_audio_of_test_does_not_come_back_in_train() -> None:
    kept, dropped = outcome([row(1, "test", audio="same"), row(2, "train", audio="same")])
    assert (kept, dropped) == (["clip1"], {"train.tsv:2": "duplicate_audio"})


def test_duplicates_within_test_stay_as_released() -> None:
    rows = [row(1, "test", "En.", "anna", "same"), row(2, "test", "En.", "anna", "same")]
    assert outcome(rows) == (["clip1", "clip2"], {})


def test_duplicate_in_test_still_holds_out_its_speaker() -> None:
    rows = [row(1, "test", audio="same"), row(2, "test", speaker="anna", audio="same")]
    assert outcome([*rows, row(3, "extra", speaker="anna")])[1] == {"extra.tsv:3": "held_out"}


def test_sentence_twice_by_one_speaker_is_dropped_unless_wanted() -> None:
    rows = [row(number, "train", "Samma.", "anna") for number in (1, 2)]
    assert outcome(rows)[1] == {"train.tsv:2": "duplicate_sentence"}
    assert outcome(rows, duplicate_sentences=False)[1] == {}


def test_unknown_speakers_are_not_one_speaker() -> None:
    rows = [row(1, "test", "En.", " "), row(2, "train", "Två."), row(3, "extra", "Tre.")]
    anonymous = [Row(**{**vars_of(each), "speaker": ""}) for each in rows]
    assert outcome(anonymous)[1] == {}


def vars_of(each: Row) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__slots__}


def test_repeats_of_a_sentence_are_capped_over_train_and_extra() -> None:
    rows = [row(number, "train" if number < 3 else "extra", "Ja.") for number in range(1, 6)]
    kept, dropped = outcome(rows, max_repeats_per_sentence=3)
    assert len(kept) == 3
    assert dropped == {"extra.tsv:4": "repeated_sentence", "extra.tsv:5": "repeated_sentence"}


def test_two_files_with_one_name_get_ids_of_their_own() -> None:
    first, second = row(1, "train"), row(1, "train", "Annat.", "bo", "other")
    second = Row(**{**vars_of(second), "where": "train.tsv:9"})
    kept, _ = outcome([first, second])
    assert kept == ["clip1", "clip1-other"]


def test_file_listed_twice_in_test_is_told() -> None:
    first = row(1, "test")
    again = Row(**{**vars_of(first), "where": "test.tsv:9"})
    assert outcome([first, again]) == (["clip1"], {"test.tsv:9": "duplicate_audio"})


def unsplit(n_rows: int, n_speakers: int) -> list[Row]:
    return [row(number, "", speaker=f"speaker{number % n_speakers}") for number in range(n_rows)]


def test_speakers_never_cross_a_border_that_is_drawn_here() -> None:
    drawn = dict(assign(unsplit(3000, 300), SplitConfig(dev_share=0.1, test_share=0.1)))
    splits_of: dict[str, set[str]] = {}
    for each, split in drawn.items():
        splits_of.setdefault(each.speaker, set()).add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    n_test = sum(split == "test" for split in drawn.values())
    assert 0.04 * 3000 < n_test < 0.18 * 3000


def test_drawn_splits_stay_when_rows_are_added_or_moved() -> None:
    rows = unsplit(500, 50)
    before = {each.id: split for each, split in assign(rows, SplitConfig())}
    more = [*unsplit(1000, 50)]
    random.shuffle(more)
    after = {each.id: split for each, split in assign(more, SplitConfig())}
    assert before == {name: after[name] for name in before}


def test_few_speakers_are_split_by_sentence() -> None:
    splits = {split for _, split in assign(unsplit(300, 1), SplitConfig())}
    assert splits == {"train", "dev", "test"}


@pytest.mark.parametrize("n_rows", [3, 4, 12])
def test_no_split_of_a_small_corpus_is_empty(n_rows: int) -> None:
    drawn = [split for _, split in assign(unsplit(n_rows, 1), SplitConfig())]
    assert set(drawn) == {"train", "dev", "test"}
    drawn = [split for _, split in assign(unsplit(n_rows, 1), SplitConfig(test_share=0))]
    assert set(drawn) == {"train", "dev"}


def test_one_clip_is_for_training() -> None:
    assert [split for _, split in assign(unsplit(1, 1), SplitConfig())] == ["train"]


def test_released_splits_stay() -> None:
    rows = [row(number, ("train", "dev", "extra")[number % 3]) for number in range(9)]
    assert [split for _, split in assign(rows, SplitConfig())] == [each.split for each in rows]


def test_nothing_is_added_to_a_test_set_that_is_marked() -> None:
    marked = [row(number, "test", speaker="marked") for number in range(1000, 1010)]
    drawn = list(assign([*marked, *unsplit(500, 50)], SplitConfig()))
    assert [each for each, split in drawn if split == "test"] == marked
    assert {split for _, split in drawn} == {"train", "dev", "test"}
