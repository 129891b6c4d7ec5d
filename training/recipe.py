"""The stages with their inputs and outputs under `work_dir`, and the recipe that runs them all."""

import logging
from pathlib import Path

from services.contract.errors import ConfigError
from training import libraries
from training.config import TrainingConfig
from training.convert.record import ConversionRecord, forget
from training.convert.run import convert as convert_checkpoint
from training.corpus import open_corpus, prepare, synthesize
from training.deployment import bundle_folder, converted, deploy, is_deployed
from training.evaluate.config import EvaluateConfig
from training.evaluate.models import weights_sha256
from training.evaluate.report import REPORT_FILE, EvaluationReport, folder_name, read_report
from training.evaluate.run import evaluate as evaluate_model
from training.evaluate.run import finished_report
from training.publish.run import publish as publish_model
from training.time_limit import OutOfTimeError, TimeLimit
from training.train.run import train as train_model

logger = logging.getLogger(__name__)


def recipe(config: TrainingConfig, max_time_s: float | None) -> None:
    """Run every stage; what an earlier run has finished is kept, and said.

    Raises:
        OutOfTimeError: time was up before the end, and the same command continues.
    """
    limit = TimeLimit(max_time_s)
    if config.synthesize is not None:
        synthesize(config)
    if config.prepared is None:
        prepare(config)
    _check_splits(config)
    if not _final(config).is_dir():
        limit.note_work()  # However little time there is, it takes a step.
    train(config, limit)
    if not _is_evaluated(config):
        evaluate(config, None, limit)
    if not _is_converted(config):
        limit.begin("conversion")
        convert(config)
    if config.deploy is not None and not is_deployed(config):
        deploy(config, None)


def _check_splits(config: TrainingConfig) -> None:
    """Look for every split that a stage will want, before hours go into training.

    Raises:
        ConfigError: one of them has no clip.
    """
    sizes = {name: split.n_clips for name, split in open_corpus(config).manifest.splits.items()}
    wanted = {
        "train.splits": config.train.splits,
        "dev (training chooses by it)": ("dev",),
        "evaluate.splits": config.evaluate.splits,
        "convert.parity_split": (config.convert.parity_split,),
    }
    for what, names in wanted.items():
        missing = [name for name in names if not sizes.get(name)]
        if missing and not (what == "train.splits" and len(missing) < len(names)):
            raise ConfigError(
                f"{what}: the corpus has no clip in {', '.join(missing)}; name other splits, raise "
                "prepare.splits.dev_share and test_share, or mark clips with `split`"
            )


def _is_evaluated(config: TrainingConfig) -> bool:
    """Whether an earlier run measured these weights in this way; it takes no conversion to tell."""
    section, sha256 = _as_served(config), weights_sha256(_final(config))
    return bool(finished_report(section, sha256, open_corpus(config), config.work_dir / "report"))


def _is_converted(config: TrainingConfig) -> bool:
    """Whether the bundle was made from these weights, this evaluation and this config."""
    done = _conversion(config).describes(bundle_folder(config))
    if done:
        logger.info("already converted: %s", bundle_folder(config))
    return done


def train(config: TrainingConfig, limit: TimeLimit) -> None:
    """Train, or continue to.

    Raises:
        OutOfTimeError: it stopped before the end, with a checkpoint.
    """
    libraries.keep_quiet()
    is_trained = train_model(
        config.model,
        config.train,
        open_corpus(config),
        config.work_dir / "run",
        seed=config.seed,
        max_time_s=limit.left_s(),
    )
    if not is_trained:
        raise OutOfTimeError


def evaluate(config: TrainingConfig, model: str | None, limit: TimeLimit) -> Path:
    """Measure the trained model as it will be served, or any other model.

    Returns:
        the report's folder; another model has its own, for `convert` and `publish` read `report`.
    Raises:
        OutOfTimeError: time was up before the end, and the next call goes on from there.
    """
    libraries.keep_quiet()
    section = config.evaluate if model else _as_served(config)
    out_dir = config.work_dir / (f"report-{folder_name(model)}" if model else "report")
    evaluate_model(section, model or str(_trained(config)), open_corpus(config), out_dir, limit)
    return out_dir


def _as_served(config: TrainingConfig) -> EvaluateConfig:
    """Measure what was trained, with the weights and windows that its bundle will have."""
    trained = config.model.model_dump(include={"language", "task"})
    served = config.convert.model_dump(include={"quantization", "window_s", "packs_speech"})
    return config.evaluate.model_copy(update=trained | served)


def convert(config: TrainingConfig) -> Path:
    """Make the bundle, with the report if there is one."""
    libraries.keep_quiet()
    bundle_dir = bundle_folder(config)
    forget(bundle_dir)
    convert_checkpoint(
        config.convert, _trained(config), open_corpus(config), bundle_dir, _report(config)
    )
    _conversion(config).keep(bundle_dir)
    return bundle_dir


def _conversion(config: TrainingConfig) -> ConversionRecord:
    return ConversionRecord.of(config.convert, _final(config), _report(config))


def publish(config: TrainingConfig, *, dry_run: bool, private: bool) -> str:
    """Bring the bundle to the hub; returns its address."""
    if config.publish is None:
        raise ConfigError("the config has no `publish` section", param="publish")
    section = config.publish.model_copy(
        update={
            "dry_run": dry_run or config.publish.dry_run,
            "private": private or config.publish.private,
        }
    )
    return publish_model(
        section,
        converted(config),
        _final(config),
        _report(config),
        config.work_dir / "publish",
    )


def _final(config: TrainingConfig) -> Path:
    return config.work_dir / "run" / "final"


def _trained(config: TrainingConfig) -> Path:
    if not _final(config).is_dir():
        raise ConfigError(f"nothing is trained in {config.work_dir} yet; run `train` first")
    return _final(config)


def _report(config: TrainingConfig) -> EvaluationReport | None:
    folder = config.work_dir / "report"
    return read_report(folder) if (folder / REPORT_FILE).is_file() else None
