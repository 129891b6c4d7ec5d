"""Evaluates one model on a prepared corpus and writes report.json, page.html and utterances.

report/
  report.json                      everything below as numbers
  page.html                        the same for people, one file
  utterances-SPLIT-CONTEXT.jsonl   every clip's reference, transcript and errors
"""

import importlib.metadata
import logging
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import ctranslate2

from services.contract.errors import DataError, OutputError
from services.contract.model_bundle import ModelBundle
from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.decode import Decoder
from training.evaluate.long_form import evaluate_long_form
from training.evaluate.models import open_model
from training.evaluate.normalise import NORMALISATION
from training.evaluate.page import write_page
from training.evaluate.report import (
    EvaluationReport,
    LongFormResult,
    SplitResult,
    Utterance,
    write_report,
)
from training.evaluate.scoring import score_split
from training.evaluate.selection import identify_test_set, select_clips
from training.evaluate.word_times import TimedWord, read_word_times
from training.prepare.shards import Clip, PreparedCorpus

logger = logging.getLogger(__name__)

Measured = dict[tuple[str, Context], tuple[SplitResult, list[Utterance]]]


def evaluate(
    config: EvaluateConfig, model: str, corpus: PreparedCorpus, out_dir: Path
) -> EvaluationReport:
    """Measure a model on the configured splits and write the report.

    Args:
        config: what to measure.
        model: path of a bundle or checkpoint, `demo`, a deployed name, or a hub id.
        corpus: prepared clips.
        out_dir: where the report goes; made if missing.
    Raises:
        ConfigError: the corpus lacks a split.
        ModelBundleError, CheckpointError, TokenizerError: the model cannot be used.
        DataError, OutputError: the word times cannot be read, or the report cannot be written.
    """
    clips = {split: select_clips(corpus, split, config.max_clips) for split in config.splits}
    times = read_word_times(config.word_times) if config.word_times else {}
    _make(out_dir)
    with open_model(model, config.quantization, out_dir) as (bundle, model_sha256):
        measured = _measure(config, bundle, corpus, clips)
        long_form = _long_form(config, bundle, corpus, clips, measured, times)
        report = EvaluationReport(
            model=bundle.id,
            model_sha256=model_sha256,
            normalisation=NORMALISATION,
            config=config,
            results=tuple(result for result, _ in measured.values()),
            long_form=long_form,
            device=_device(config),
            tools={name: importlib.metadata.version(name) for name in _TOOLS},
            made_at=datetime.now(UTC),
        )
    _write(report, measured, out_dir)
    return report


_TOOLS = ("ctranslate2", "faster-whisper", "jiwer", "transformers")


def read_utterances(report_dir: Path, split: str, context: Context) -> list[Utterance]:
    """Read what `evaluate` wrote about every clip of a split in a context."""
    # Not splitlines(): a transcript may hold U+2028 or its like, which JSON leaves as they are.
    with _utterances_file(report_dir, split, context).open(encoding="utf-8") as lines:
        return [Utterance.model_validate_json(line) for line in lines]


def _measure(
    config: EvaluateConfig,
    bundle: ModelBundle,
    corpus: PreparedCorpus,
    clips: Mapping[str, list[Clip]],
) -> Measured:
    decoder = Decoder(bundle, config)
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
        for (split, context), (_, utterances) in measured.items():
            lines = "".join(utterance.model_dump_json() + "\n" for utterance in utterances)
            _utterances_file(out_dir, split, context).write_text(lines, encoding="utf-8")
        write_page(report, out_dir / "page.html")
        write_report(report, out_dir)  # last: by it a recipe knows that all of this is done
    except OSError as error:
        raise DataError(f"cannot write the report: {error.strerror}", path=str(out_dir)) from error


def _utterances_file(report_dir: Path, split: str, context: Context) -> Path:
    return report_dir / f"utterances-{split}-{context}.jsonl"
