"""What an evaluation report lets a manifest say."""

from dataclasses import dataclass
from pathlib import Path

from services.contract.errors import ConfigError
from services.contract.model_bundle import Evaluation
from training.convert.config import ConvertConfig
from training.evaluate.models import weights_sha256
from training.evaluate.report import EvaluationReport, SplitResult


@dataclass(frozen=True)
class Results:
    """The part of a manifest that comes from evaluation."""

    proves_short_context: bool = False
    evaluations: tuple[Evaluation, ...] = ()


def results_of(report: EvaluationReport | None, checkpoint: Path, config: ConvertConfig) -> Results:
    """Take the results of a report that is about exactly what is converted.

    Raises:
        ConfigError: the report is about other weights, or about another quantization of them.
    """
    if report is None:
        return Results()
    if report.model_sha256 != weights_sha256(checkpoint):
        raise ConfigError(
            f"the report is about {report.model}, not about {checkpoint}; evaluate this checkpoint"
        )
    if report.config.quantization != config.quantization:
        raise ConfigError(
            f"the report measured {report.config.quantization} weights and convert.quantization is "
            f"{config.quantization}: run `evaluate` again with this config"
        )
    return Results(report.proves_short_context(), cited(report))


def cited(report: EvaluationReport) -> tuple[Evaluation, ...]:
    """Take the results in the context in which the model will be served."""
    served = "short" if report.proves_short_context() else "full"
    return tuple(_evaluation(result) for result in report.results if result.context == served)


def _evaluation(result: SplitResult) -> Evaluation:
    overall = result.overall
    return Evaluation(
        test_set_name=result.split,
        test_set_sha256=result.test_set_sha256,
        wer=overall.raw.wer,
        wer_normalised=overall.normalised.wer,
        cer=overall.raw.cer,
        cer_normalised=overall.normalised.cer,
        n_clips=overall.n_clips,
        hours=overall.hours,
    )
