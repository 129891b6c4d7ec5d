"""Who speaks: espeak-ng's Swedish voice in its variants, some of them held out for testing.

A speaker is one variant with its own pitch, speed, liveliness and pauses.
"""

import random
from dataclasses import dataclass
from hashlib import sha256

from training.synthesize.espeak import Manner

# A variant changes pitch, formants and roughness. Robots, echoes and whispers are left out.
TEST_VARIANTS = ("m4", "f4", "benjamin", "linda")
DEV_VARIANTS = ("m8", "f1", "adam", "steph")
TRAIN_VARIANTS = (
    "", "m1", "m2", "m3", "m5", "m6", "m7", "f2", "f3", "f5", "Alex", "Alicia", "Andrea", "Andy",
    "Annie", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco",
    "Mario", "Michael", "Mike", "Nguyen", "anika", "antonio", "aunty", "belinda", "boris", "caleb",
    "david", "ed", "edward", "grandma", "grandpa", "gustave", "john", "klatt2", "klatt3",
    "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob",
    "robert", "sandro", "shelby", "travis", "victor", "zac",
)  # fmt: skip
VARIANTS = {"train": TRAIN_VARIANTS, "dev": DEV_VARIANTS, "test": TEST_VARIANTS}
# espeak-ng as it comes speaks often enough in training to be known well.
_PLAIN_SHARE = 0.12


@dataclass(frozen=True)
class Speaker:
    """One constant way of speaking; `client_id` is its column in Common Voice's tables."""

    client_id: str
    manner: Manner


def speakers(split: str, n: int, seed: int) -> list[Speaker]:
    """Invent the speakers of one split.

    Args:
        split: `train`, `dev` or `test`; no two of them share a variant.
        n: how many; every variant gets its turn.
    """
    rng = random.Random(f"speakers {split} {seed}")
    variants = VARIANTS[split]
    return [_speaker(rng, split, variants[i % len(variants)], f"{seed} {i}") for i in range(n)]


def _speaker(rng: random.Random, split: str, variant: str, name: str) -> Speaker:
    if split == "train" and rng.random() < _PLAIN_SHARE:
        variant = ""
    manner = Manner(
        voice=f"sv+{variant}" if variant else "sv",
        rate=rng.randint(130, 210),
        pitch=rng.randint(25, 75),
        pitch_range=rng.randint(25, 80),
        word_gap=rng.choice((0, 0, 0, 1, 2, 4)),
    )
    return Speaker(sha256(f"{split} {name} {manner}".encode()).hexdigest(), manner)
