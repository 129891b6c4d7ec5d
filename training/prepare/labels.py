"""The label policy: what every text looks like when the model learns it.

Change anything here and VERSION must rise: the manifest of each corpus names the version it has.
"""

import re
import unicodedata

from training.prepare.config import LabelConfig

VERSION = 1

_STRAIGHT = str.maketrans(
    dict.fromkeys("“”„‟«»″", '"')
    | dict.fromkeys("‘’‚‛′´`", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"…": "..."}
)
# Zero-width characters and soft hyphens cannot be heard, nor seen by whoever corrects a text.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_SPACES = re.compile(r"\s+")
_WRAPPED = re.compile(r'"([^"]*)"([.!?]?)')


def apply_policy(text: str, config: LabelConfig) -> str:
    """Write a text as the model shall learn it; letters such as å, ä, ö and é stay.

    Returns:
        the text in NFC with single spaces; empty when nothing but spaces was there.
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    if config.straight_quotes:
        text = _unwrapped(text.translate(_STRAIGHT).strip())
    text = _SPACES.sub(" ", text).strip()
    if config.capital:
        text = unicodedata.normalize("NFC", _capital(text))
    if config.final_period and text and text[-1].isalnum():
        text += "."
    return text


def describe(config: LabelConfig) -> str:
    """Name the policy, for the manifest."""
    options = " ".join(f"{key}={str(value).lower()}" for key, value in config.model_dump().items())
    return f"labels/{VERSION} {options}"


def sentence_key(text: str) -> str:
    """Reduce a text to what tells sentences apart: letters and digits, without case."""
    return "".join(c for c in unicodedata.normalize("NFC", text).casefold() if c.isalnum())


def _unwrapped(text: str) -> str:
    """Drop quotes around the whole text; quotes around a part of it stay."""
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is None:
        return text
    inner, mark = wrapped.groups()
    return inner if inner.endswith(mark or inner) else inner + mark


def _capital(text: str) -> str:
    """Raise the first letter, behind quotes and brackets too."""
    for place, character in enumerate(text):
        if character.isalnum():
            return text[:place] + character.upper() + text[place + 1 :]
    return text
