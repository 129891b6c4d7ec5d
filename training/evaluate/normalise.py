"""Text normalisation for error rates: what counts as the same word in Swedish.

A small Swedish layer over the normaliser of the Whisper paper, which keeps å, ä and ö. Both sides
of a comparison pass through it; labels and transcripts never do. A change of any rule changes
NORMALISATION, because rates under different rules must not be compared.
"""

import re
import unicodedata

from transformers.models.whisper.english_normalizer import BasicTextNormalizer

NORMALISATION = "sv/1"

_basic = BasicTextNormalizer(remove_diacritics=False)

# 12 345 and 12.345 are one number, 2024 300 is two
_GROUPED_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f.]\d{3})+(?!\d)")
_SWEDISH_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # EU:s, 5:e, kl:s are one word, and so is what an apostrophe joins
        (r"(?<=\w)[:'’](?=[a-zåäö])", ""),
        (r"(?<=\d),(?=\d)", " komma "),
        (r"(?<=\d)\s*%", " procent"),
        (r"(?<=\d)\s*(?:kr\b\.?|:-)", " kronor"),
        (r"\s*&\s*", " och "),
    )
)


def normalise(text: str) -> str:
    """Lower the case, drop punctuation and bracketed notes, unify Swedish spellings of numbers.

    Returns:
        NFC text, words separated by single spaces, empty if nothing was said.
    """
    text = unicodedata.normalize("NFC", text).lower()
    text = _GROUPED_NUMBER.sub(lambda number: re.sub(r"\D", "", number[0]), text)
    for pattern, replacement in _SWEDISH_RULES:
        text = pattern.sub(replacement, text)
    return unicodedata.normalize("NFC", _basic(text)).strip()
