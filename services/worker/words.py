"""When each word of a window was spoken, by faster-whisper's alignment."""

from copy import copy
from itertools import accumulate, pairwise
from typing import Any

import ctranslate2
from faster_whisper.tokenizer import Tokenizer

from services.contract.schema import Word
from services.worker.model import FloatArray, Model
from services.worker.segments import RawSegment

# Punctuation that belongs to the word after it, and before it. Source: openai/whisper timing.py.
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"


def add_words(
    model: Model,
    tokenizer: Tokenizer,
    segments: list[RawSegment],
    encoded: FloatArray,
    n_frames: int,
) -> None:
    """Give each segment its words, and the bounds that follow from them, in window time.

    Args:
        encoded: the window's encoder output, shape (1, context / 2, d_model).
        n_frames: frames of the window that hold sound.
    """
    if not segments:
        return
    plain: list[dict[str, Any]] = [
        {"seek": 0, "start": s.start, "end": s.end, "tokens": list(s.tokens)} for s in segments
    ]
    model.loop.add_word_timestamps(
        [plain],
        _ending_words_with(segments, tokenizer),
        ctranslate2.StorageView.from_array(encoded),
        min(n_frames, encoded.shape[1] * 2),
        _PREPENDED,
        _APPENDED,
        last_speech_timestamp=0.0,
    )
    reached = 0.0
    for segment, aligned in zip(segments, plain, strict=True):
        segment.words = tuple(_word(word) for word in aligned["words"])
        segment.start = max(reached, float(aligned["start"]))
        segment.end = reached = max(segment.start, float(aligned["end"]))


def _ending_words_with(segments: list[RawSegment], tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer to which the end of a segment is the end of a word.

    What begins without a space continues a word to faster-whisper: the first one of a segment would
    belong to the last one of the segment before, in a model tuned on labels without that space.
    """
    lengths = [sum(token < tokenizer.eot for token in segment.tokens) for segment in segments]
    borders = list(accumulate(lengths, initial=0))

    def split(tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        words: list[str] = []
        word_tokens: list[list[int]] = []
        for start, end in pairwise([*borders, len(tokens)]):
            found = tokenizer.split_to_word_tokens(tokens[start:end])
            words += found[0]
            word_tokens += found[1]
        return words, word_tokens

    own = copy(tokenizer)
    own.split_to_word_tokens = split
    return own


def _word(found: dict[str, Any]) -> Word:
    start, end = float(found["start"]), float(found["end"])
    probability = min(1.0, max(0.0, float(found["probability"])))
    return Word(word=found["word"], start=start, end=max(start, end), probability=probability)
