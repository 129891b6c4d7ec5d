"""True times of words, and how far a transcript's times are from them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import jiwer

from services.contract.errors import DataError
from training.evaluate.normalise import normalise
from training.prepare.rows import clip_id


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and where it starts; the start is None where it is not known."""

    word: str
    start_s: float | None


def read_word_times(path: Path) -> dict[str, list[TimedWord]]:
    """Read true word times by clip id.

    Raises:
        DataError: a line is not {"path", "words": [{"word", "start", "end"}, ...]}.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError("cannot be read; give the file of word times", path=str(path)) from error
    return dict(_read_line(line, str(path), number) for number, line in enumerate(lines, start=1))


def _read_line(line: str, path: str, number: int) -> tuple[str, list[TimedWord]]:
    try:
        row = json.loads(line)
        words = [TimedWord(spoken["word"], float(spoken["start"])) for spoken in row["words"]]
        return clip_id(str(PurePosixPath(row["path"]))), words
    except (ValueError, KeyError, TypeError) as error:
        reason = 'not {"path", "words": [{"word", "start", "end"}, ...]}'
        raise DataError(reason, path=path, line=number) from error


def normalised(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Normalise words one by one; what one becomes several keeps the start for the first only."""
    result = []
    for timed in words:
        parts = normalise(timed.word).split()
        result += [TimedWord(part, None if i else timed.start_s) for i, part in enumerate(parts)]
    return result


def start_errors(truth: Sequence[TimedWord], found: Sequence[TimedWord]) -> list[float]:
    """Return |start - true start| in seconds for every word that was understood.

    Args:
        truth: normalised words of the reference.
        found: normalised words of the transcript; those without a start are passed over.
    """
    alignment = jiwer.process_words(_text(truth), _text(found)).alignments[0]
    errors = []
    for chunk in alignment:
        if chunk.type != "equal":
            continue
        pairs = zip(
            truth[chunk.ref_start_idx : chunk.ref_end_idx],
            found[chunk.hyp_start_idx : chunk.hyp_end_idx],
            strict=True,
        )
        for true, heard in pairs:
            if true.start_s is not None and heard.start_s is not None:
                errors.append(abs(true.start_s - heard.start_s))
    return errors


def _text(words: Sequence[TimedWord]) -> str:
    return " ".join(timed.word for timed in words)
