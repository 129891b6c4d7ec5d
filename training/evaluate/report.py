"""What an evaluation found, as it is written to report.json and read by convert, publish, compare.

Rates are shares (0.05 is 5 %), times are seconds.
"""

import re
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contract.errors import DataError
from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.metrics import ErrorCounts

REPORT_FILE = "report.json"
# Cut to its length, a clip may cost this much word error rate before a bundle must be padded.
SHORT_CONTEXT_TOLERANCE = 0.002
SHORT_CONTEXT_MIN_WORDS = round(1 / SHORT_CONTEXT_TOLERANCE)
SHORT_CONTEXT_MIN_CLIPS = 100


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TextScore(_Result):
    """Errors of one group of clips under one way to compare texts."""

    words: ErrorCounts
    characters: ErrorCounts

    @property
    def wer(self) -> float:
        """Word error rate."""
        return self.words.rate

    @property
    def cer(self) -> float:
        """Character error rate."""
        return self.characters.rate


class Group(_Result):
    """Results on some clips: all, one range of durations, or one domain."""

    label: str
    n_clips: int
    hours: float
    raw: TextScore
    """Case and punctuation count."""
    normalised: TextScore
    """Only words count."""


class Utterance(_Result):
    """One clip: what was said, what was understood."""

    id: str
    domain: str
    duration_s: float
    reference: str
    hypothesis: str
    words: ErrorCounts
    """Normalised."""
    ended: bool


class SplitResult(_Result):
    """One split in one context."""

    split: str
    context: Context
    test_set_sha256: str
    """Identifies the clips and texts; results are comparable where it is equal."""
    overall: Group
    by_duration: tuple[Group, ...]
    by_domain: tuple[Group, ...]
    repetition_rate: float
    """Clips whose transcript is caught in a loop."""
    missing_end_rate: float
    """Clips whose transcript lacks at least the last two words, or all."""
    unterminated_rate: float
    """Clips whose transcript reached the token limit."""
    real_time_factor: float
    worst: tuple[Utterance, ...]


class LongFormResult(_Result):
    """Clips joined to minutes and transcribed by faster-whisper's own loop."""

    split: str
    minutes: float
    n_clips: int
    words: ErrorCounts
    """Normalised, over the joined recording."""
    words_of_single_clips: ErrorCounts
    """Normalised, of the same clips one by one."""
    segment_starts_within_half_s: float | None
    """Share of segments that start within 0.5 s of the true start of their first word."""
    median_word_start_error_s: float | None
    n_segment_starts: int
    """Segments whose first word was understood and has a known time."""
    n_word_starts: int
    real_time_factor: float


class EvaluationReport(_Result):
    """Everything about one model."""

    model: str
    model_sha256: str
    """Of model.bin, or of the checkpoint's weights if a checkpoint was evaluated."""
    normalisation: str
    config: EvaluateConfig
    results: tuple[SplitResult, ...]
    long_form: LongFormResult | None
    device: str
    """The machine, in words; belongs to the real-time factors."""
    tools: dict[str, str]
    """Versions that the numbers depend on."""
    made_at: datetime

    def result(self, split: str, context: Context) -> SplitResult | None:
        """Return the result of a split in a context, if it was measured."""
        for result in self.results:
            if (result.split, result.context) == (split, context):
                return result
        return None

    def proves_short_context(self) -> bool:
        """Whether unpadded windows were as good as padded ones wherever both were measured."""
        return not self.objection_to_short_context()

    def objection_to_short_context(self) -> str:
        """Say why these results do not prove short context; empty when they do.

        Word error rate may be 0.2 points higher in no split. Loops and lost ends are rare, so they
        are counted over all splits; they must not be more, give or take one clip. On fewer words
        than it takes for one of them to weigh less than 0.2 points, or on a handful of clips, being
        as good is luck.
        """
        pairs = [
            (full, short)
            for full in self.results
            if full.context == "full" and (short := self.result(full.split, "short"))
        ]
        n_clips = sum(full.overall.n_clips for full, _ in pairs)
        n_words = sum(full.overall.normalised.words.n_reference for full, _ in pairs)
        if n_clips < SHORT_CONTEXT_MIN_CLIPS or n_words < SHORT_CONTEXT_MIN_WORDS:
            return (
                f"{n_clips} clips with {n_words} words were decoded in both contexts; it takes "
                f"{SHORT_CONTEXT_MIN_CLIPS} clips and {SHORT_CONTEXT_MIN_WORDS} words to prove it"
            )
        return "; ".join([*_higher_error_rates(pairs), *_more_accidents(pairs, n_clips)])


def _higher_error_rates(pairs: list[tuple[SplitResult, SplitResult]]) -> list[str]:
    rates = (
        (full.split, full.overall.normalised.wer, short.overall.normalised.wer)
        for full, short in pairs
    )
    return [
        f"{split}: WER {before:.2%} padded, {after:.2%} unpadded"
        for split, before, after in rates
        if after > before + SHORT_CONTEXT_TOLERANCE
    ]


def _more_accidents(pairs: list[tuple[SplitResult, SplitResult]], n_clips: int) -> list[str]:
    """Name what happens more often in unpadded windows, give or take one clip."""
    fulls, shorts = [full for full, _ in pairs], [short for _, short in pairs]
    counts = {
        name: (_n_clips_with(name, fulls), _n_clips_with(name, shorts)) for name in _ACCIDENTS
    }
    return [
        f"{_ACCIDENTS[name]} in {before} of {n_clips} clips padded, in {after} unpadded"
        for name, (before, after) in counts.items()
        if after > before + 1
    ]


_ACCIDENTS = {
    "repetition_rate": "loops",
    "missing_end_rate": "missing ends",
    "unterminated_rate": "no end",
}


def _n_clips_with(rate: str, results: list[SplitResult]) -> int:
    return sum(round(result.overall.n_clips * getattr(result, rate)) for result in results)


def folder_name(model: str) -> str:
    """Turn the path or name of a model into a name for the folder of its report."""
    return re.sub(r"[^A-Za-z0-9.@-]+", "-", model).strip("-")[-60:]


def write_report(report: EvaluationReport, out_dir: Path) -> None:
    """Write report.json."""
    text = report.model_dump_json(indent=2)
    (out_dir / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def read_report(path: Path) -> EvaluationReport:
    """Read report.json, or the report.json of a directory.

    Raises:
        DataError: there is none, or it is from another version.
    """
    file = path / REPORT_FILE if path.is_dir() else path
    try:
        return EvaluationReport.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataError(
            "no evaluation report; run `python -m training evaluate`", path=str(file)
        ) from error
    except ValidationError as error:
        raise DataError(
            "not a report this version reads; evaluate again", path=str(file)
        ) from error
