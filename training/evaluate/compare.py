"""Puts models side by side on the same test set: rates, intervals, differences, one page.

compare/
  comparison.json   the numbers
  page.html         the same for people
  MODEL/            the evaluation of each model, as `evaluate` writes it
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from services.contract.errors import ConfigError, DataError
from training.evaluate import plots
from training.evaluate.bootstrap import Interval, difference_interval, rate_interval
from training.evaluate.config import EvaluateConfig
from training.evaluate.html import Text, figure, page, paragraph, percent, table
from training.evaluate.report import EvaluationReport, SplitResult, Utterance, folder_name
from training.evaluate.run import evaluate, read_utterances
from training.prepare.shards import PreparedCorpus
from training.time_limit import TimeLimit


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison, on the last configured split in the best proven context."""

    model: str
    wer: Interval
    """Normalised."""
    against_first: Interval
    """WER minus that of the first model, drawn over the same clips; 0 for the first."""
    result: SplitResult
    utterances: tuple[Utterance, ...]


def compare(
    config: EvaluateConfig,
    models: Sequence[str],
    corpus: PreparedCorpus,
    out_dir: Path,
    limit: TimeLimit | None = None,
) -> list[ComparedModel]:
    """Evaluate models one after the other and compare them; what an earlier run did is kept.

    Args:
        config: as for `evaluate`; the last split is the one that is compared.
        models: what `evaluate` takes; the first is the baseline.
        corpus: prepared clips.
        out_dir: where the comparison goes.
        limit: of the time.
    Raises:
        OutOfTimeError: there is too little left of it.
        ConfigError: fewer than two models, or one of them twice.
    """
    if len(models) < 2 or len(set(models)) < len(models):
        raise ConfigError("compare needs two or more different models")
    evaluated = []
    for number, model in enumerate(models, start=1):
        folder = out_dir / f"{number}-{folder_name(model)}"
        evaluated.append((evaluate(config, model, corpus, folder, limit), folder))
    compared = _compare(config, models, evaluated)
    _write(compared, out_dir)
    return compared


def _compare(
    config: EvaluateConfig,
    models: Sequence[str],
    evaluated: Sequence[tuple[EvaluationReport, Path]],
) -> list[ComparedModel]:
    compared: list[ComparedModel] = []
    for model, (report, folder) in zip(models, evaluated, strict=True):
        result = _served_result(config, report)
        utterances = read_utterances(folder, result.split, result.context)
        counts = [utterance.words for utterance in utterances]
        first = [u.words for u in compared[0].utterances] if compared else counts
        difference = difference_interval(counts, first)
        interval = rate_interval(counts)
        compared.append(ComparedModel(model, interval, difference, result, tuple(utterances)))
    return compared


def _served_result(config: EvaluateConfig, report: EvaluationReport) -> SplitResult:
    """Each model in the context in which it would be served."""
    wanted = "short" if report.proves_short_context() else "full"
    split = config.splits[-1]
    of_split = [result for result in report.results if result.split == split]
    return next((result for result in of_split if result.context == wanted), of_split[0])


def _write(compared: Sequence[ComparedModel], out_dir: Path) -> None:
    rows = [
        {
            "model": each.model,
            "split": each.result.split,
            "context": each.result.context,
            "test_set_sha256": each.result.test_set_sha256,
            "wer": asdict(each.wer),
            "against_first": asdict(each.against_first),
            "wer_raw": each.result.overall.raw.wer,
            "cer": each.result.overall.normalised.cer,
            "real_time_factor": each.result.real_time_factor,
        }
        for each in compared
    ]
    try:
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
        (out_dir / "comparison.json").write_text(text, encoding="utf-8")
        (out_dir / "page.html").write_text(page("Comparison", _parts(compared)), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write the comparison: {error.strerror}", path=str(out_dir)
        ) from error


def _parts(compared: Sequence[ComparedModel]) -> Iterator[str]:
    first = compared[0]
    yield paragraph(
        f"{first.result.overall.n_clips} clips of {first.result.split}. Intervals are 95 %, from "
        f"2000 bootstrap samples of clips; differences are drawn over the same clips for both.",
        note=True,
    )
    head = ("model", "WER", "95 %", f"against {first.model}", "95 %", "WER raw", "CER", "RTF")
    yield table("Side by side", head, map(_row, compared))
    rows = {each.model: (each.wer.low, each.wer.value, each.wer.high) for each in compared}
    yield figure(plots.intervals(rows, "Word error rate"))
    kinds = {each.model: each.result.overall for each in compared}
    yield figure(plots.error_kinds(kinds, "Kinds of errors"))
    durations = {each.model: each.result.by_duration for each in compared}
    yield figure(plots.grouped_bars(durations, "By duration"))
    if any(each.result.by_domain for each in compared):
        domains = {each.model: each.result.by_domain for each in compared}
        yield figure(plots.grouped_bars(domains, "By domain"))
    yield _where_they_differ(compared)


def _row(each: ComparedModel) -> tuple[str, ...]:
    return (
        Text(f"{each.model} ({each.result.context} context)"),
        percent(each.wer.value),
        f"{percent(each.wer.low)} to {percent(each.wer.high)}",
        percent(each.against_first.value),
        f"{percent(each.against_first.low)} to {percent(each.against_first.high)}",
        percent(each.result.overall.raw.wer),
        percent(each.result.overall.normalised.cer),
        f"{each.result.real_time_factor:.3f}",
    )


def _where_they_differ(compared: Sequence[ComparedModel], n_rows: int = 20) -> str:
    """Show the clips on which the models are furthest apart."""

    def spread(clip: tuple[Utterance, ...]) -> int:
        errors = [utterance.words.n_errors for utterance in clip]
        return max(errors) - min(errors)

    clips = list(zip(*(each.utterances for each in compared), strict=True))
    clips.sort(key=lambda clip: (-spread(clip), clip[0].id))
    rows = [
        (Text(clip[0].reference), *(Text(utterance.hypothesis) for utterance in clip))
        for clip in clips[:n_rows]
        if spread(clip)
    ]
    return table("Where they differ most", ("reference", *(m.model for m in compared)), rows)
