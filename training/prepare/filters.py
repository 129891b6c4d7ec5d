"""The filters: each a name, a version and a question, asked of a row or of its decoded audio.

A filter that only judges quality leaves dev and test alone: taking the hard clips out of a released
test set would make its figures better and worthless. Change a filter and its version must rise.
"""

import dataclasses
import unicodedata
from collections.abc import Callable

from training.prepare.audio import Sound
from training.prepare.config import DECODER_POSITIONS, SPECIAL_TOKENS, FilterConfig
from training.prepare.labels import sentence_key
from training.prepare.rows import Row

EVALUATION_SPLITS = ("test", "dev")
CountTokens = Callable[[str], int]


@dataclasses.dataclass(frozen=True)
class RowFilter:
    """Judges a row by what its source says; answers why it is dropped, or an empty string."""

    name: str
    version: int
    ask: Callable[[Row, FilterConfig], str]
    evaluation: bool = False
    """Whether it applies to dev and test too."""


@dataclasses.dataclass(frozen=True)
class SoundFilter:
    """Judges a decoded clip; answers why it is dropped, or an empty string."""

    name: str
    version: int
    ask: Callable[[Row, Sound, FilterConfig], str]
    evaluation: bool = False


def _empty_text(row: Row, config: FilterConfig) -> str:
    has_text = sentence_key(row.text) or config.keep_empty_text
    return "" if has_text else "no letter or digit in the text"


def _script(row: Row, config: FilterConfig) -> str:
    if not config.latin_only:
        return ""
    foreign = {c for c in row.text if c.isalpha() and "LATIN" not in unicodedata.name(c, "")}
    return f"letters of another script: {' '.join(sorted(foreign))}" if foreign else ""


def _votes(row: Row, config: FilterConfig) -> str:
    lost = config.votes and row.down_votes and row.down_votes >= row.up_votes
    return f"{row.up_votes} votes for, {row.down_votes} against" if lost else ""


def _reported(row: Row, config: FilterConfig) -> str:
    return "the sentence was reported" if config.reported and row.reported else ""


def tokens_filter(count: CountTokens) -> RowFilter:
    """Build the filter that needs a tokenizer: the text must fit into the decoder."""

    def ask(row: Row, config: FilterConfig) -> str:
        limit = DECODER_POSITIONS - SPECIAL_TOKENS - config.max_prompt_tokens
        n_tokens = count(row.text)
        return f"{n_tokens} tokens, at most {limit} fit" if n_tokens > limit else ""

    return RowFilter("tokens", 1, ask, evaluation=True)


def _duration(row: Row, sound: Sound, config: FilterConfig) -> str:
    if sound.duration_s > config.max_duration_s:
        return f"{sound.duration_s:.2f} s, longer than {config.max_duration_s:g} s"
    short = sound.duration_s < config.min_duration_s and row.split not in EVALUATION_SPLITS
    return f"{sound.duration_s:.2f} s, shorter than {config.min_duration_s:g} s" if short else ""


def _silence(row: Row, sound: Sound, config: FilterConfig) -> str:
    if not row.text:
        return ""
    if sound.peak_dbfs < config.min_peak_dbfs:
        return f"loudest sample at {sound.peak_dbfs:.1f} dBFS"
    short = sound.speech_s < config.min_speech_s
    return f"only {sound.speech_s:.2f} s stand out from silence" if short else ""


def _clipping(row: Row, sound: Sound, config: FilterConfig) -> str:
    clipped = sound.clipped_share > config.max_clipped_share
    return f"{sound.clipped_share:.1%} of the samples at full scale" if clipped else ""


def _rate(row: Row, sound: Sound, config: FilterConfig) -> str:
    rate = len(row.text) / max(sound.speech_s, 0.01)
    if not row.text or config.min_chars_per_s <= rate <= config.max_chars_per_s:
        return ""
    return f"{rate:.1f} characters per second of speech: {row.text[:60]!r}"


ROW_FILTERS = (
    RowFilter("empty_text", 1, _empty_text, evaluation=True),
    RowFilter("script", 1, _script),
    RowFilter("votes", 1, _votes),
    RowFilter("reported", 1, _reported),
)
SOUND_FILTERS = (
    SoundFilter("duration", 1, _duration, evaluation=True),
    SoundFilter("silence", 1, _silence),
    SoundFilter("clipping", 1, _clipping),
    SoundFilter("chars_per_s", 1, _rate),
)
