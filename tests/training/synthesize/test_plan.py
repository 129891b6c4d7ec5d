from pathlib import Path

import pytest

from services.contract.errors import DataError
from training.synthesize.config import SynthesizeConfig
from training.synthesize.plan import ClipPlan, plan, split_of
from training.synthesize.voices import VARIANTS


def of_split(clips: list[ClipPlan], split: str) -> list[ClipPlan]:
    return [clip for clip in clips if clip.split == split]


@pytest.fixture
def clips(small: SynthesizeConfig) -> list[ClipPlan]:
    return plan(small.model_copy(update={"n_train": 600, "n_dev": 60, "n_test": 60}))


def test_splits_have_the_wanted_size(clips: list[ClipPlan]) -> None:
    assert [len(of_split(clips, split)) for split in ("train", "dev", "test")] == [600, 60, 60]
    assert len({clip.name for clip in clips}) == 720


def test_no_sentence_word_or_voice_crosses_a_split(clips: list[ClipPlan]) -> None:
    for kind in ("sentence", "voice", "speaker", "dictionary"):
        sets = [{key(clip, kind) for clip in of_split(clips, s)} for s in ("train", "dev", "test")]
        words = [set().union(*(keys for keys in of)) for of in sets]
        assert not words[0] & words[1] and not words[0] & words[2] and not words[1] & words[2]


def key(clip: ClipPlan, kind: str) -> frozenset[str]:
    if kind == "dictionary":
        is_dictionary = clip.sentence.domain == "dictionary"
        return frozenset(clip.sentence.text.lower().strip(".").split() if is_dictionary else ())
    return frozenset(
        [{"sentence": clip.sentence.text.lower().rstrip(".?!"), "voice": clip.speaker.manner.voice,
          "speaker": clip.speaker.client_id}[kind]]
    )  # fmt: skip


def test_held_out_variants_are_held_out() -> None:
    assert len(set().union(*VARIANTS.values())) == sum(map(len, VARIANTS.values()))


def test_evaluation_sentences_come_once(clips: list[ClipPlan]) -> None:
    texts = [clip.sentence.text for clip in of_split(clips, "test")]
    assert len(set(texts)) == len(texts)


def test_same_seed_same_plan(small: SynthesizeConfig) -> None:
    assert plan(small) == plan(small)
    assert plan(small) != plan(small.model_copy(update={"seed": 2}))


def test_punctuation_and_case_do_not_move_a_sentence() -> None:
    assert split_of("Hej, Anna!") == split_of("hej anna") == split_of("Hej Anna?")
    assert split_of("Ja!") == "train"


def test_shares_are_kept(small: SynthesizeConfig) -> None:
    clips = plan(small.model_copy(update={"n_train": 100, "noise_share": 0.1}))
    domains = [clip.sentence.domain for clip in of_split(clips, "train")]
    assert domains.count("noise") == 10
    assert domains.count("dictionary") == 36


def test_own_sentences_are_spoken(small: SynthesizeConfig, tmp_path: Path) -> None:
    text = tmp_path / "domain.txt"
    lines = "".join(f"ventil {word} läcker\n\n" for word in "abcdefghijklmnopqrstuvwxyz")
    text.write_text(lines, encoding="utf-8-sig")  # as editors on Windows save it
    update = {"text_file": text, "dictionary_share": 0.0, "n_train": 26, "n_dev": 0, "n_test": 0}
    clips = plan(small.model_copy(update=update))
    # Nothing is held out where there is no dev and no test.
    assert sorted(clip.sentence.text[:8] for clip in clips) == [
        f"Ventil {word}" for word in "abcdefghijklmnopqrstuvwxyz"
    ]


def test_too_few_sentences_for_a_split(small: SynthesizeConfig, tmp_path: Path) -> None:
    text = tmp_path / "domain.txt"
    text.write_text("Ett enda exempel.\n")
    with pytest.raises(DataError, match="different sentences for dev"):
        plan(small.model_copy(update={"text_file": text, "n_train": 0}))


def test_unreadable_text_file(small: SynthesizeConfig, tmp_path: Path) -> None:
    text = tmp_path / "domain.txt"
    text.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match=r"domain\.txt"):
        plan(small.model_copy(update={"text_file": text}))
