"""espeak-ng in this process: text to samples with the time of every word.

The library is called directly (ctypes), since one process per clip would cost more than the
speech itself. It keeps state from clip to clip (flutter, noise), so the same calls in the
same order from a fresh process give the same bytes, another order does not: corpus.py
speaks each batch in a process of its own. Not for threads: the library has one voice.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.contract.errors import DataError

# Names and numbers from espeak-ng's speak_lib.h (API revision 12).
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7
_LIST_TERMINATED, _WORD, _END = 0, 1, 5
_SILENCE = 200  # of 32768, far below the softest voice
_LIBRARY = "libespeak-ng.so.1"


class _Event(ctypes.Structure):
    """espeak_EVENT; the union `id` is never read and kept as eight bytes."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Manner:
    """How to speak: a voice and espeak-ng's own scales."""

    voice: str
    """`sv`, or `sv+VARIANT`."""
    rate: int
    """Words per minute, 80 to 450."""
    pitch: int
    """0 to 99; 50 is the voice's own."""
    pitch_range: int
    """0 (monotone) to 99; 50 is the voice's own."""
    word_gap: int
    """Extra pause between words, in units of 10 ms at the usual rate."""


@dataclass(frozen=True)
class SpokenWord:
    """One word and where it is heard, in seconds from the first sample."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """What espeak-ng made of a text."""

    samples: NDArray[np.int16]
    """Shape (n_samples,), at `sample_rate`."""
    sample_rate: int
    words: tuple[SpokenWord, ...]


class Espeak:
    """The one espeak-ng of this process; make it with `espeak()`."""

    def __init__(self) -> None:
        """Load and start the library.

        Raises:
            DataError: libespeak-ng or its data is not installed.
        """
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise DataError(f"{_LIBRARY} is missing: install espeak-ng") from error
        # Option 0x8000: return an error instead of ending the process when data is missing.
        self.sample_rate = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, None, 0x8000
        )
        if self.sample_rate <= 0:
            raise DataError("espeak-ng cannot read its data: install espeak-ng-data")
        self._blocks: list[bytes] = []
        self._events: list[tuple[int, int, int]] = []
        # Kept as attribute: the library calls it as long as it lives.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, block: int | None, n_samples: int, events: "ctypes._Pointer[_Event]") -> int:
        if block and n_samples > 0:
            self._blocks.append(ctypes.string_at(block, 2 * n_samples))
        i = 0
        while events[i].type != _LIST_TERMINATED:
            if events[i].type in (_WORD, _END):
                self._events.append((events[i].type, events[i].text_position, events[i].sample))
            i += 1
        return 0

    def say(self, text: str, manner: Manner) -> Speech:
        """Speak one text.

        Raises:
            DataError: this espeak-ng does not have the voice.
        """
        self._set(manner)
        self._blocks.clear()
        self._events.clear()
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        samples = np.frombuffer(b"".join(self._blocks), np.int16)
        return Speech(samples, self.sample_rate, tuple(self._words(text, samples)))

    def _set(self, manner: Manner) -> None:
        if self._library.espeak_SetVoiceByName(manner.voice.encode()) != 0:
            raise DataError(f"espeak-ng has no voice {manner.voice!r}: install espeak-ng-data")
        for parameter, value in (
            (_RATE, manner.rate),
            (_PITCH, manner.pitch),
            (_RANGE, manner.pitch_range),
            (_WORD_GAP, manner.word_gap),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)

    def _words(self, text: str, samples: NDArray[np.int16]) -> list[SpokenWord]:
        """Join each word event to its word; the next event ends it, or the clause's pause."""
        words = []
        for (kind, position, first), (next_kind, _, beyond) in pairwise(
            self._events_in_order(text)
        ):
            if kind == _WORD:
                word = text[position - 1 :].split(maxsplit=1)[0].strip(".,?!")
                if next_kind == _END:
                    beyond = first + _n_until_silence(samples[first:beyond])
                words.append(SpokenWord(word, first / self.sample_rate, beyond / self.sample_rate))
        return words

    def _events_in_order(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Skip the word events that espeak-ng now and then sends again, or for a comma."""
        last = 0
        for kind, position, sample in self._events:
            if kind == _END:
                yield kind, position, sample
            elif position > last and text[position - 1].isalnum():
                last = position
                yield kind, position, sample


def _n_until_silence(samples: NDArray[np.int16]) -> int:
    """Count the samples up to the last audible one: a clause's events end after its pause."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SILENCE)
    return int(audible[-1]) + 1 if len(audible) else len(samples)


@cache
def espeak() -> Espeak:
    """Return the espeak-ng of this process, started on first use.

    Raises:
        DataError: see Espeak.
    """
    return Espeak()
