"""When each word of a window was spoken, by faster-whisper's alignment."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Any

import ctranslate2
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from services.contract.schema import Task, Word
from services.worker.model import Model, rows_of
from services.worker.segments import RawSegment

# Punctuation that belongs to the word after it, and before it. Source: openai/whisper timing.py.
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
#: What the alignment needs of a window, however short it is.
_LEAST_FRAMES = 2
#: Seconds per word: nobody speaks so fast, so it was no alignment.
_LEAST_WORD_S = 0.02


@dataclass(frozen=True)
class Said:
    """What was said in a window, to be given its times."""

    row: int
    """Which of the encoder's outputs is the window's."""
    language: str
    task: Task
    segments: list[RawSegment]
    n_frames: int
    """Frames of the window that hold sound."""


def add_words(model: Model, windows: Sequence[Said], encoded: ctranslate2.StorageView) -> None:
    """Give each segment its words, and the bounds that follow from them, in window time.

    Args:
        windows: windows of one batch, not always all of it.
        encoded: the batch's encoder outputs, shape (n, context / 2, d_model).
    """

    def manner(window: Said) -> tuple[str, Task]:
        return window.language, window.task

    spoken = sorted((window for window in windows if window.segments), key=manner)
    for (language, task), group in groupby(spoken, key=manner):
        _align(model, model.tokenizer(language, task), list(group), encoded)


def _align(
    model: Model, tokenizer: Tokenizer, windows: list[Said], encoded: ctranslate2.StorageView
) -> None:
    """Align windows of one language and task: the model in one call, the rest one by one."""
    outputs = _outputs(encoded, [window.row for window in windows])
    longest = 2 * outputs.shape[1]
    alignments = model.loop.find_alignment(
        _ending_words_with([window.segments for window in windows], tokenizer),
        [_text_tokens(window, tokenizer) for window in windows],
        outputs,
        [min(max(_LEAST_FRAMES, window.n_frames), longest) for window in windows],
    )
    for window, alignment in zip(windows, alignments, strict=True):
        _time(model, tokenizer, window, alignment)


def _text_tokens(window: Said, tokenizer: Tokenizer) -> list[int]:
    return [t for segment in window.segments for t in segment.tokens if t < tokenizer.eot]


def _time(model: Model, tokenizer: Tokenizer, window: Said, alignment: Any) -> None:
    """Let faster-whisper turn an alignment into times.

    One window at a time: it takes several for parts of one recording, and measures the first word
    of each by the last one of the window before.
    """
    plain = [_plain(segment) for segment in window.segments]
    loop = copy(model.loop)
    loop.find_alignment = lambda *_: [alignment]
    loop.add_word_timestamps(
        [plain], tokenizer, None, 0, _PREPENDED, _APPENDED, last_speech_timestamp=0.0
    )
    _take_over(window.segments, plain, tokenizer)


def _plain(segment: RawSegment) -> dict[str, Any]:
    return {
        "seek": 0,
        "start": segment.start,
        "end": segment.end,
        "tokens": list(segment.tokens),
    }


def _outputs(encoded: ctranslate2.StorageView, rows: list[int]) -> ctranslate2.StorageView:
    """Return some of the encoder's outputs; all of them stay where they are."""
    if rows == list(range(encoded.shape[0])):
        return encoded
    return ctranslate2.StorageView.from_array(rows_of(encoded, rows))


def _take_over(
    segments: list[RawSegment], aligned: list[dict[str, Any]], tokenizer: Tokenizer
) -> None:
    words = [[_word(word) for word in found["words"]] for found in aligned]
    are_timed = _are_timed(words)
    reached = 0.0
    for segment, found, own in zip(segments, aligned, words, strict=True):
        segment.words = tuple(own if are_timed else _shared_out(segment, own))
        segment.word_tokens = tuple(_tokens_by_word(tokenizer, segment.tokens))
        if are_timed:
            segment.start = max(reached, float(found["start"]))
            segment.end = reached = max(segment.start, float(found["end"]))


def _are_timed(words: list[list[Word]]) -> bool:
    """Whether the alignment told anything. In float16 on a GPU one model's words were all at 0 s:
    probably there are frames at which its heads, very sure of where they look, do not look at all.
    """
    found = [word for own in words for word in own]
    return not found or found[-1].end - found[0].start >= len(found) * _LEAST_WORD_S


def _shared_out(segment: RawSegment, words: list[Word]) -> Iterator[Word]:
    """Give each word a share of its segment's time, by its length."""
    n_chars = [len(word.word) for word in words]
    per_char = (segment.end - segment.start) / max(1, sum(n_chars))
    ends = [segment.start + per_char * position for position in accumulate(n_chars, initial=0)]
    for word, (start, end) in zip(words, pairwise(ends), strict=True):
        yield word.model_copy(update={"start": start, "end": end})


def _ending_words_with(windows: list[list[RawSegment]], tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer to which the end of a segment is the end of a word.

    What begins without a space continues a word to faster-whisper: the first one of a segment would
    belong to the last one of the segment before, in a model tuned on labels without that space.
    It is asked once for each window, in order.
    """
    borders = iter([_borders(segments, tokenizer) for segments in windows])

    def split(tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        words: list[str] = []
        word_tokens: list[list[int]] = []
        for start, end in pairwise([*next(borders), len(tokens)]):
            found = tokenizer.split_to_word_tokens(tokens[start:end])
            words += found[0]
            word_tokens += found[1]
        return words, word_tokens

    own = copy(tokenizer)
    own.split_to_word_tokens = split
    return own


def _borders(segments: list[RawSegment], tokenizer: Tokenizer) -> list[int]:
    """Return where segments begin and end among the window's text tokens."""
    lengths = [sum(token < tokenizer.eot for token in segment.tokens) for segment in segments]
    return list(accumulate(lengths, initial=0))


def _tokens_by_word(tokenizer: Tokenizer, tokens: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield the tokens of each word, punctuation with the word that it belongs to."""
    text = [token for token in tokens if token < tokenizer.eot]
    pairs = zip(*tokenizer.split_to_word_tokens(text), strict=True)
    words = [{"word": word, "tokens": own} for word, own in pairs]
    merge_punctuations(words, _PREPENDED, _APPENDED)
    return (tuple(word["tokens"]) for word in words if word["word"])


def _word(found: dict[str, Any]) -> Word:
    start, end = float(found["start"]), float(found["end"])
    probability = min(1.0, max(0.0, float(found["probability"])))
    return Word(word=found["word"], start=start, end=max(start, end), probability=probability)
