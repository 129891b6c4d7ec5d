"""The end of a run: choose the weights, write final/, compare with the start."""

import json
import logging
import subprocess
from pathlib import Path

from safetensors import SafetensorError

from services.contract.errors import CheckpointError, QualityError
from training.evaluate.word_times import read_word_times
from training.train import checkpoints
from training.train.alignment_heads import choose_alignment_heads
from training.train.averaging import average_weights
from training.train.callbacks import CheckpointCallback
from training.train.config import ModelConfig, TrainConfig
from training.train.dev_evaluation import DevResult
from training.train.export import FACTS, export
from training.train.fingerprint import BASELINE, FINAL
from training.train.setup import Setup
from training.train.trainer import load_trainee, load_weights

logger = logging.getLogger(__name__)

_ALIGNMENT_CLIPS = 60


def finish(
    saver: CheckpointCallback,
    setup: Setup,
    model: ModelConfig,
    config: TrainConfig,
    run_dir: Path,
) -> None:
    """Write final/ from the weights that are best on dev, and compare them with the start.

    Raises:
        QualityError: they are worse than the model that the run started from.
        CheckpointError: the disk is full.
    """
    chosen = choose_weights(saver, setup, config, run_dir)
    staging = run_dir / "exporting"
    try:
        write_checkpoint(setup, model, config, staging, chosen)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{staging} cannot be written: {error}; free some space and run again"
        ) from error
    if model.scratch is not None and config.word_times is not None:
        set_alignment_heads(setup, config, staging)
    staging.rename(run_dir / FINAL)
    logger.info("trained: %s, dev WER %.2f %% (raw %.2f %%)", run_dir / FINAL, *chosen.percent)
    check_result(run_dir)


def check_result(run_dir: Path) -> None:
    """Compare final/ with the model that the run started from, if it started from one.

    Raises:
        QualityError: it is worse on dev.
    """
    baseline, facts = run_dir / BASELINE, run_dir / FINAL / FACTS
    if not (baseline.exists() and facts.exists()):
        return
    before = float(json.loads(baseline.read_text(encoding="utf-8"))["wer"])
    after = float(json.loads(facts.read_text(encoding="utf-8")).get("dev_wer", 0.0))
    if after > before:
        raise QualityError(
            f"dev WER is {after:.2%} after training and was {before:.2%} before: lower "
            "train.learning_rate, or check labels and language, and train in another work_dir"
        )


def choose_weights(
    saver: CheckpointCallback, setup: Setup, config: TrainConfig, run_dir: Path
) -> DevResult:
    """Load the best checkpoint, or the average of the last ones if that is better on dev."""
    folder = run_dir / "checkpoints"
    newest = checkpoints.newest_complete(folder)
    if newest is None:
        raise CheckpointError(f"{folder} holds no complete checkpoint; run the same command again")
    best = checkpoints.best(checkpoints.complete_checkpoints(folder)) or newest
    result = DevResult.read(best / checkpoints.EVALUATION)
    if config.average_last > 1:
        last = checkpoints.last(folder, config.average_last, config.saves_at)
        averaged = average_weights(last)
        load_weights(setup.trainee, averaged, folder)
        candidate = saver.measure(result.step)
        if candidate.wer < result.wer:
            return candidate
    load_trainee(setup.trainee, best)
    return result


def set_alignment_heads(setup: Setup, config: TrainConfig, checkpoint: Path) -> None:
    """Measure which heads give the best word times and write them into generation_config.json."""
    speech = setup.speech
    truth = read_word_times(Path(str(config.word_times)))
    dev_clips = speech.corpus.clips("dev")[:_ALIGNMENT_CLIPS]
    heads, error_s = choose_alignment_heads(
        checkpoint, speech.corpus, dev_clips, truth, speech.writer
    )
    logger.info("alignment heads %s, mean error of word starts %.3f s", heads, error_s)
    path = checkpoint / "generation_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "alignment_heads": heads}, indent=1), encoding="utf-8")


def write_checkpoint(
    setup: Setup, model: ModelConfig, config: TrainConfig, out_dir: Path, result: DevResult
) -> Path:
    """Export the weights that the trainee holds now."""
    facts = {
        "base_model": _public_name(model.base),
        "short_context": config.mix.full_context_share < 1.0,
        "languages": [model.language],
        "tasks": [model.task],
        "prepared_manifest_sha256": setup.speech.corpus.manifest_sha256,
        "git_revision": git_revision(),
        "step": result.step,
        "dev_wer": result.wer,
    }
    speech = setup.speech
    return export(
        setup.trainee,
        speech.vocabulary,
        setup.tokenizer,
        speech.writer.special,
        setup.generation,
        facts,
        out_dir,
    )


def _public_name(base: str | None) -> str | None:
    """Name a folder without its path: that helps nobody else, and may hold the name of a user."""
    return Path(base).resolve().name if base and Path(base).is_dir() else base


def git_revision() -> str | None:
    """Return the commit of the code, None outside a repository or without git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return result.stdout.strip() or None
