"""Evaluates one model on a prepared corpus and writes report.json, page.html and utterances.

report/
  report.json                      everything below as numbers
  page.html                        the same for people, one file
  utterances-SPLIT-CONTEXT.jsonl   every clip's reference, transcript and errors
  .transcripts.jsonl               until the report is there: what a run that was cut off has done
"""

import importlib.metadata
import logging
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ctranslate2

from services.contract.errors import DataError, OutputError
from services.contract.model_bundle import ModelBundle
from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.decode import Decoder
from training.evaluate.journal import open_journal
from training.evaluate.long_form import evaluate_long_form
from training.evaluate.models import open_model
from training.evaluate.normalise import NORMALISATION
from training.evaluate.page import write_page
from training.evaluate.report import (
    REPORT_FILE,
    EvaluationReport,
    LongFormResult,
    SplitResult,
    Utterance,
    read_report,
    write_report,
)
from training.evaluate.scoring import score_split
from training.evaluate.selection import identify_test_set, select_clips
from training.evaluate.word_times import TimedWord, read_word_times
from training.prepare.shards import Clip, PreparedCorpus
from training.time_limit import TimeLimit

logger = logging.getLogger(__name__)

_JOURNAL = ".transcripts.jsonl"
#: What changes no transcript: a run that ran out of memory goes on with smaller batches.
_NO_MATTER = {"batch_size", "threads", "n_worst", "long_form_minutes", "word_times"}

Measured = dict[tuple[str, Context], tuple[SplitResult, list[Utterance]]]


def evaluate(
    config: EvaluateConfig,
    model: str,
    corpus: PreparedCorpus,
    out_dir: Path,
    limit: TimeLimit | None = None,
) -> EvaluationReport:
    """Measure a model on the configured splits and write the report.

    A run that was cut off is continued by the next one that would make the same transcripts, and
    what was measured to the end is not measured again.

    Args:
        config: what to measure.
        model: path of a bundle or checkpoint, `demo`, a deployed name, or a hub id.
        corpus: prepared clips.
        out_dir: where the report goes; made if missing.
        limit: of the time.
    Raises:
        OutOfTimeError: there is too little left of it.
        ConfigError: the corpus lacks a split.
        ModelBundleError, CheckpointError, TokenizerError: the model cannot be used.
        DataError, OutputError: the word times cannot be read, or the report cannot be written.
    """
    clips = {split: select_clips(corpus, split, config.max_clips) for split in config.splits}
    times = read_word_times(config.word_times) if config.word_times else {}
    limit = limit or TimeLimit(None)
    _make(out_dir)
    with open_model(model, config.quantization, out_dir) as (bundle, model_sha256):
        if finished := finished_report(config, model_sha256, corpus, out_dir):
            return finished
        work = _work(config, model_sha256, corpus)
        with open_journal(out_dir / _JOURNAL, work) as journal:
            measured = _measure(Decoder(bundle, config, journal, limit), config, corpus, clips)
        if config.long_form_minutes:
            limit.begin("the long recording")
        long_form = _long_form(config, bundle, corpus, clips, measured, times)
    report = EvaluationReport(
        model=bundle.id,
        model_sha256=model_sha256,
        normalisation=NORMALISATION,
        config=config,
        results=tuple(result for result, _ in measured.values()),
        long_form=long_form,
        device=_device(config),
        tools=_tools(),
        made_at=datetime.now(UTC),
    )
    _write(report, measured, out_dir)
    return report


def finished_report(
    config: EvaluateConfig, model_sha256: str, corpus: PreparedCorpus, report_dir: Path
) -> EvaluationReport | None:
    """Return the report of an earlier run that measured the same, if there is one, and say so."""
    try:
        report = read_report(report_dir)
    except DataError:  # none, damaged, or of another version
        return None
    measured = {result.split: result.test_set_sha256 for result in report.results}
    earlier = (report.model_sha256, report.config, report.normalisation, report.tools, measured)
    if earlier != (model_sha256, config, NORMALISATION, _tools(), _test_sets(config, corpus)):
        return None
    logger.info("already evaluated: %s; remove it to have it measured again", report_dir)
    return report


def read_utterances(report_dir: Path, split: str, context: Context) -> list[Utterance]:
    """Read what `evaluate` wrote about every clip of a split in a context."""
    # Not splitlines(): a transcript may hold U+2028 or its like, which JSON leaves as they are.
    with _utterances_file(report_dir, split, context).open(encoding="utf-8") as lines:
        return [Utterance.model_validate_json(line) for line in lines]


def _work(config: EvaluateConfig, model_sha256: str, corpus: PreparedCorpus) -> dict[str, Any]:
    """Return what the transcripts depend on."""
    return {
        "model": model_sha256,
        "config": config.model_dump(mode="json", exclude=_NO_MATTER),
        "clips": _test_sets(config, corpus),
        "ctranslate2": ctranslate2.__version__,
    }


def _test_sets(config: EvaluateConfig, corpus: PreparedCorpus) -> dict[str, str]:
    """Return the hash of the clips that are taken from each split."""
    return {
        split: identify_test_set(corpus, select_clips(corpus, split, config.max_clips))
        for split in config.splits
    }


def _measure(
    decoder: Decoder,
    config: EvaluateConfig,
    corpus: PreparedCorpus,
    clips: Mapping[str, list[Clip]],
) -> Measured:
    measured: Measured = {}
    for split, members in clips.items():
        for context in config.contexts:
            decoded = decoder.decode(
                corpus, members, context, f"decoding {split}, {context} context"
            )
            sha256 = identify_test_set(corpus, members)
            scored = score_split(members, decoded, context, sha256, config.n_worst)
            measured[split, context] = scored
            _log(scored[0])
    return measured


def _log(result: SplitResult) -> None:
    logger.info(
        "%s, %s context: WER %.2f %% (raw %.2f %%), CER %.2f %%, %d clips, real-time factor %.3f",
        result.split,
        result.context,
        100 * result.overall.normalised.wer,
        100 * result.overall.raw.wer,
        100 * result.overall.normalised.cer,
        result.overall.n_clips,
        result.real_time_factor,
    )


def _long_form(
    config: EvaluateConfig,
    bundle: ModelBundle,
    corpus: PreparedCorpus,
    clips: Mapping[str, list[Clip]],
    measured: Measured,
    times: Mapping[str, list[TimedWord]],
) -> LongFormResult | None:
    """Use the last split, where results count; compare with the context that is always allowed."""
    if not config.long_form_minutes:
        return None
    split = config.splits[-1]
    context: Context = "full" if "full" in config.contexts else "short"
    single = measured[split, context][1]
    return evaluate_long_form(bundle, config, corpus, clips[split], single, times)


def _tools() -> dict[str, str]:
    names = ("ctranslate2", "faster-whisper", "jiwer", "transformers")
    return {name: importlib.metadata.version(name) for name in names}


def _device(config: EvaluateConfig) -> str:
    on_gpu = config.device == "cuda" or (
        config.device == "auto" and ctranslate2.get_cuda_device_count() > 0
    )
    return "cuda" if on_gpu else f"cpu {platform.machine()}, {config.threads or 'all'} threads"


def _make(out_dir: Path) -> None:
    """Make the folder first: better to fail now than after hours of decoding."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{out_dir} cannot be written: {error.strerror}; choose another work_dir"
        ) from error


def _write(report: EvaluationReport, measured: Measured, out_dir: Path) -> None:
    try:
        (out_dir / REPORT_FILE).unlink(missing_ok=True)  # what it tells of is overwritten now
        for (split, context), (_, utterances) in measured.items():
            lines = "".join(utterance.model_dump_json() + "\n" for utterance in utterances)
            _utterances_file(out_dir, split, context).write_text(lines, encoding="utf-8")
        write_page(report, out_dir / "page.html")
        write_report(report, out_dir)  # last: by it a recipe knows that all of this is done
        (out_dir / _JOURNAL).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot write the report: {error.strerror}", path=str(out_dir)) from error


def _utterances_file(report_dir: Path, split: str, context: Context) -> Path:
    return report_dir / f"utterances-{split}-{context}.jsonl"
