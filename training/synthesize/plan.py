"""What will be spoken: every clip of the corpus, decided before the first one is made.

The plan depends on the config alone. Sentences are dealt to splits by their own hash, so
that no sentence of dev or test is ever spoken in train; dictionary words likewise.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from services.contract.errors import DataError
from training.synthesize import dictionary, sentences
from training.synthesize.config import SynthesizeConfig
from training.synthesize.sentences import Sentence
from training.synthesize.voices import Speaker, speakers

SPLITS = ("train", "dev", "test")
NOISE_DOMAIN = "noise"
# Of a hundred sentences or words, this many each are kept for dev and for test.
_HELD_OUT_PERCENT = 4
# What a demo must know: one-word utterances that are always for train.
_ALWAYS_TRAIN = frozenset("ja nej noll ett två tre fyra fem sex sju åtta nio tio hej tack".split())
# After this many draws in vain the source has no new sentence for the split.
_PATIENCE = 20_000
_N_EVALUATION_SPEAKERS = 40


@dataclass(frozen=True)
class ClipPlan:
    """One clip to be made: its place, its words, its speaker, its luck."""

    split: str
    index: int
    sentence: Sentence
    speaker: Speaker

    @property
    def name(self) -> str:
        """The clip's file name without ending: unique, and the domain can be read from it."""
        return f"espeak_{self.split}_{self.index:07d}_{self.sentence.domain}"

    @property
    def sentence_id(self) -> str:
        """The same for the same sentence, as in Common Voice."""
        return sha256(self.sentence.text.encode()).hexdigest()


def split_of(text: str) -> str:
    """Say which split a sentence or word belongs to, whatever its case and punctuation."""
    key = re.sub(r"\W+", " ", text.lower()).strip()
    if key in _ALWAYS_TRAIN:
        return "train"
    bucket = int.from_bytes(sha256(key.encode()).digest()[:4], "big") % 100
    if bucket < _HELD_OUT_PERCENT:
        return "test"
    return "dev" if bucket < 2 * _HELD_OUT_PERCENT else "train"


def plan(config: SynthesizeConfig) -> list[ClipPlan]:
    """Decide every clip of the corpus.

    Raises:
        DataError: the text file or word list is missing, empty, or too small for a split.
    """
    counts = {"train": config.n_train, "dev": config.n_dev, "test": config.n_test}
    return [clip for split in SPLITS for clip in _plan_split(config, split, counts[split])]


def _plan_split(config: SynthesizeConfig, split: str, n_clips: int) -> list[ClipPlan]:
    if not n_clips:
        return []
    rng = random.Random(f"plan {split} {config.seed}")
    n_noise = round(n_clips * config.noise_share)
    n_dictionary = round((n_clips - n_noise) * config.dictionary_share)
    n_sentences = n_clips - n_noise - n_dictionary
    texts = [Sentence("", NOISE_DOMAIN)] * n_noise
    if n_sentences:
        texts += islice(_sentences(config, split, rng), n_sentences)
    if n_dictionary:
        texts += islice(_dictionary(config, split, rng), n_dictionary)
    if len(texts) < n_clips:
        raise DataError(
            f"only {len(texts)} different sentences for {split}, {n_clips} wanted: "
            "give more sentences or ask for fewer clips"
        )
    rng.shuffle(texts)
    people = speakers(
        split, config.n_speakers if split == "train" else _N_EVALUATION_SPEAKERS, config.seed
    )
    return [ClipPlan(split, i, text, rng.choice(people)) for i, text in enumerate(texts)]


def _sentences(config: SynthesizeConfig, split: str, rng: random.Random) -> Iterator[Sentence]:
    """Yield the split's sentences: in train again and again, elsewhere each once."""
    if config.text_file is not None:
        holds_out = bool(config.n_dev or config.n_test)
        yield from _from_file(config.text_file, split if holds_out else "", rng)
        return
    seen: set[str] = set()
    in_vain = 0
    while in_vain < _PATIENCE:
        sentence = sentences.draw(rng)
        in_vain += 1
        if split_of(sentence.text) != split or (split != "train" and sentence.text in seen):
            continue
        seen.add(sentence.text)
        in_vain = 0
        yield sentence


def _from_file(path: Path, split: str, rng: random.Random) -> Iterator[Sentence]:
    """Yield the sentences of a split, or all of them where the split is empty."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the sentences of {path} as UTF-8 text: {error}") from error
    texts = sorted({sentences.as_sentence(line) for line in lines if line.strip()})
    mine = [Sentence(text, "text") for text in texts if split in ("", split_of(text))]
    while mine:
        yield from rng.sample(mine, len(mine))
        if split in ("dev", "test"):
            return


def _dictionary(config: SynthesizeConfig, split: str, rng: random.Random) -> Iterator[Sentence]:
    words = dictionary.read_words(config.dictionary_file)
    mine = [word for word in words if split_of(word) == split]
    if not mine:
        return iter(())
    return dictionary.sequences(mine, config.max_words, rng)
