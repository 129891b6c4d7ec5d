"""The report of one model as a self-contained page: tables, figures, worst utterances."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from training.evaluate import plots
from training.evaluate.html import Text, figure, heading, page, paragraph, percent, table
from training.evaluate.report import EvaluationReport, Group, LongFormResult, SplitResult

_GROUP_HEAD = (
    "clips",
    "n",
    "hours",
    "WER raw",
    "WER normalised",
    "CER raw",
    "CER normalised",
    "hits",
    "S",
    "D",
    "I",
)


def write_page(report: EvaluationReport, path: Path) -> None:
    """Write the report for people."""
    path.write_text(page(f"Evaluation of {report.model}", _parts(report)), encoding="utf-8")


def _parts(report: EvaluationReport) -> Iterator[str]:
    yield paragraph(
        f"{report.made_at:%Y-%m-%d %H:%M} UTC, on {report.device}, beam {report.config.beam_size}, "
        f"normalisation {report.normalisation}. Raw counts case and punctuation; normalised counts "
        "words only. S, D, I: words substituted, deleted, inserted.",
        note=True,
    )
    yield _summary(report)
    if len(report.config.contexts) > 1:
        objection = report.objection_to_short_context()
        verdict = f"not proved ({objection})" if objection else "proved"
        yield paragraph(f"Short context as good as full context: {verdict}.")
    for split, results in groupby(report.results, key=lambda result: result.split):
        yield from _split(split, list(results))
    if report.long_form:
        yield _long_form(report.long_form)


def _summary(report: EvaluationReport) -> str:
    head = ("split, context", "WER", "CER", "loops", "missing ends", "endless", "real-time factor")
    rows = [
        (
            Text(f"{result.split}, {result.context}"),
            percent(result.overall.normalised.wer),
            percent(result.overall.normalised.cer),
            percent(result.repetition_rate),
            percent(result.missing_end_rate),
            percent(result.unterminated_rate),
            f"{result.real_time_factor:.3f}",
        )
        for result in report.results
    ]
    return table("Normalised error rates", head, rows)


def _split(split: str, results: list[SplitResult]) -> Iterator[str]:
    yield heading(split)
    by_context = {f"{result.context} context": result for result in results}
    overall = {name: result.overall for name, result in by_context.items()}
    yield figure(plots.error_kinds(overall, "Kinds of errors"))
    durations = {name: result.by_duration for name, result in by_context.items()}
    yield figure(plots.grouped_bars(durations, "By duration"))
    if any(result.by_domain for result in results):
        domains = {name: result.by_domain for name, result in by_context.items()}
        yield figure(plots.grouped_bars(domains, "By domain"))
    for name, result in by_context.items():
        groups = (result.overall, *result.by_duration, *result.by_domain)
        yield table(name, _GROUP_HEAD, map(_group_row, groups))
    yield _worst(results[0])


def _group_row(group: Group) -> tuple[str, ...]:
    words = group.normalised.words
    counts = (words.hits, words.substitutions, words.deletions, words.insertions)
    return (
        Text(group.label),
        str(group.n_clips),
        f"{group.hours:.2f}",
        percent(group.raw.wer),
        percent(group.normalised.wer),
        percent(group.raw.cer),
        percent(group.normalised.cer),
        *map(str, counts),
    )


def _worst(result: SplitResult) -> str:
    rows = [
        (Text(each.id), str(each.words.n_errors), Text(each.reference), Text(each.hypothesis))
        for each in result.worst
    ]
    head = ("clip", "errors", "reference", "transcript")
    return table(f"Worst utterances, {result.context} context", head, rows)


def _long_form(result: LongFormResult) -> str:
    starts, words = result.segment_starts_within_half_s, result.median_word_start_error_s
    rows = [
        (Text("WER"), percent(result.words.rate)),
        (Text("WER of the same clips one by one"), percent(result.words_of_single_clips.rate)),
        (
            Text(f"segment starts within 0.5 s ({result.n_segment_starts} known)"),
            "unknown" if starts is None else percent(starts),
        ),
        (
            Text(f"median error of word starts ({result.n_word_starts} known)"),
            "unknown" if words is None else f"{words:.3f} s",
        ),
        (Text("real-time factor"), f"{result.real_time_factor:.3f}"),
    ]
    caption = f"Long form: {result.n_clips} clips of {result.split}, {result.minutes:.1f} minutes"
    return table(caption, ("faster-whisper", ""), rows)
