"""The built-in sentence grammar: patterns of everyday Swedish over the words of words.py.

A sentence begins with a capital, ends with `.`, `?` or `!`, and never holds a digit:
what is spoken and what is written are the same words.
"""

import random
import re
from dataclasses import dataclass

from training.synthesize import slots
from training.synthesize.number_patterns import NUMBER_PATTERNS
from training.synthesize.topic_patterns import TOPIC_PATTERNS

PATTERNS = {
    domain: tuple(line.strip() for line in text.strip().splitlines())
    for domain, text in (NUMBER_PATTERNS | TOPIC_PATTERNS).items()
}
_SLOT = re.compile(r"\{(\w+)\}")
# Numbers and times need the most examples: every value is another word to spell.
_WEIGHTS = {"numbers": 4, "clock": 2, "dates": 2, "prices": 2, "digits": 2, "one_word": 1}


@dataclass(frozen=True)
class Sentence:
    """One labelled sentence and the topic it belongs to."""

    text: str
    domain: str


def draw(rng: random.Random) -> Sentence:
    """Draw one sentence: a domain by weight, a pattern of it, then words for its slots."""
    domains = list(PATTERNS)
    weights = [_WEIGHTS.get(domain, 1) for domain in domains]
    domain = rng.choices(domains, weights)[0]
    pattern = rng.choice(PATTERNS[domain])
    return Sentence(fill(pattern, rng), domain)


def fill(pattern: str, rng: random.Random) -> str:
    """Replace each `{slot}` of a pattern and make it a sentence.

    Raises:
        KeyError: the pattern names a slot that slots.py does not have.
    """
    return as_sentence(_SLOT.sub(lambda match: slots.SLOTS[match[1]](rng), pattern))


def as_sentence(text: str) -> str:
    """Give the text a capital at the start and a full stop unless it ends with one of `.?!…`."""
    text = " ".join(text.split())
    ending = "" if text.rstrip("\"'”’»)").endswith((".", "?", "!", "…")) else "."
    return text[:1].upper() + text[1:] + ending
