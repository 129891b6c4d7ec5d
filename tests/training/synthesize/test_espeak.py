import subprocess
import sys

import numpy as np
import pytest

from services.contract.errors import DataError
from training.synthesize.espeak import Manner, espeak
from training.synthesize.voices import VARIANTS

PLAIN = Manner("sv", rate=160, pitch=50, pitch_range=50, word_gap=0)


def test_every_word_has_its_time() -> None:
    speech = espeak().say("Klockan är kvart över sju, eller hur?", PLAIN)
    assert [w.word for w in speech.words] == "Klockan är kvart över sju eller hur".split()
    duration_s = len(speech.samples) / speech.sample_rate
    starts = [word.start for word in speech.words]
    assert starts == sorted(starts) and starts[0] == 0
    assert all(word.start < word.end <= duration_s for word in speech.words)


def test_word_times_are_where_the_sound_is() -> None:
    """A comma is silence between the end of one word and the start of the next."""
    speech = espeak().say("Nej, aldrig.", PLAIN)
    before, after = speech.words
    assert after.start - before.end > 0.02
    pause = slice(*(round(t * speech.sample_rate) for t in (before.end, after.start)))
    loudness = np.abs(speech.samples.astype(np.float32))
    assert loudness[pause].mean() < 0.1 * loudness.mean()


def test_speed_and_pitch_are_heard() -> None:
    slow = espeak().say("Ett två tre fyra.", PLAIN)
    fast = espeak().say("Ett två tre fyra.", Manner("sv", 220, 50, 50, 0))
    assert len(fast.samples) < 0.9 * len(slow.samples)


@pytest.mark.parametrize("split", VARIANTS)
def test_every_variant_speaks(split: str) -> None:
    for variant in VARIANTS[split]:
        manner = Manner(f"sv+{variant}" if variant else "sv", 170, 50, 50, 0)
        speech = espeak().say("Hej då.", manner)
        assert np.abs(speech.samples.astype(np.int32)).max() > 3000, variant
        assert len(speech.words) == 2, variant


def test_unknown_voice() -> None:
    with pytest.raises(DataError, match="no voice"):
        espeak().say("Hej.", Manner("nosuchlanguage", 170, 50, 50, 0))


def test_missing_library_says_what_to_install() -> None:
    """In a process of its own: here the library is loaded already."""
    program = (
        "import training.synthesize.espeak as e; e._LIBRARY = 'libespeak-none.so'\n"
        "from services.contract.errors import DataError\n"
        "try:\n    e.espeak()\nexcept DataError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "install espeak-ng" in said.stdout
