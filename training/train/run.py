"""Trains a model: open the data, build the model, measure the start, fit, write the result."""

import dataclasses
import hashlib
import json
import logging
import subprocess
from pathlib import Path
from typing import Any

from transformers import GenerationConfig, WhisperTokenizer, set_seed

from services.contract.errors import ConfigError, DataError, QualityError
from training.prepare.shards import PreparedCorpus
from training.tokenizer import load_tokenizer
from training.train import checkpoints
from training.train.batches import BatchDataset, Speech
from training.train.build import (
    build_trainee,
    check_tokenizer,
    load_base,
    random_whisper,
    scratch_generation_config,
)
from training.train.callbacks import CheckpointCallback, LogCallback
from training.train.config import ModelConfig, TrainConfig
from training.train.dev_evaluation import choose_dev_clips, evaluate_dev
from training.train.export import export
from training.train.labels import MAX_TOKENS, LabelWriter, SpecialTokens
from training.train.plan import Phase, Planner
from training.train.schedule import first_decay_step
from training.train.stopping import StopCallback
from training.train.trainee import Trainee
from training.train.trainer import WhisperTrainer, load_trainee
from training.train.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Setup:
    """Everything a run needs, built from config and data alone."""

    trainee: Trainee
    speech: Speech
    tokenizer: WhisperTokenizer
    generation: GenerationConfig
    dataset: BatchDataset


def train(
    model: ModelConfig,
    config: TrainConfig,
    corpus: PreparedCorpus,
    run_dir: Path,
    *,
    seed: int,
    max_time_s: float | None = None,
) -> bool:
    """Train until the last step or until asked to stop; resume if the run has begun.

    Args:
        run_dir: checkpoints/, log.jsonl, tensorboard/ and at the end final/ go here.
        max_time_s: stop, resumable, before this many seconds have passed.
    Returns:
        True when the run is complete and final/ is written, False when it stopped and can be resumed.
    Raises:
        ConfigError: the config differs from the one the run began with.
        QualityError: the result is worse on dev than the model it started from; final/ is written all the same.
    """
    if (run_dir / "final").exists():
        return True
    stop = StopCallback(max_time_s)
    stop.install()
    _keep_fingerprint(model, config, corpus, seed, run_dir)
    setup = prepare_setup(model, config, corpus, seed)
    trainer = WhisperTrainer(setup.trainee, setup.dataset, config, run_dir / "checkpoints", seed)
    log = LogCallback(trainer, run_dir)
    dev_clips = choose_dev_clips(corpus, config.dev_clips, seed)
    saver = CheckpointCallback(trainer, setup.speech, dev_clips, config, log)
    for callback in (log, saver, stop):
        trainer.add_callback(callback)
    start = checkpoints.newest_complete(run_dir / "checkpoints")
    if start is None and model.base is not None:
        _measure_start(trainer, setup, dev_clips, config, run_dir)
    trainer.train(resume_from_checkpoint=None if start is None else str(start))
    if stop.stopped:
        return False
    finish(setup, model, config, corpus, run_dir)
    return True


def prepare_setup(
    model: ModelConfig, config: TrainConfig, corpus: PreparedCorpus, seed: int
) -> Setup:
    """Build tokenizer, vocabulary, model and plan."""
    set_seed(seed)
    tokenizer = load_tokenizer(model.tokenizer or str(model.base))
    special = SpecialTokens.of(tokenizer, model.language, model.task)
    writer = LabelWriter(tokenizer, special, config.labels)
    clips = [clip for split in config.splits for clip in corpus.clips(split)]
    if not clips:
        raise DataError(
            f"no clips in {', '.join(config.splits)}; check train.splits", path=corpus.url
        )
    if model.scratch is not None:
        vocabulary = choose_vocabulary(
            model, config, tokenizer, writer, [clip.text for clip in clips]
        )
        whisper = random_whisper(model.scratch, vocabulary, special)
        generation = scratch_generation_config(special, tokenizer, model.language)
    else:
        whisper, generation = load_base(model)
        check_tokenizer(whisper, tokenizer)
        vocabulary = Vocabulary.full(whisper.config.vocab_size)
    _check_lengths(writer, [(clip.id, clip.text) for clip in clips])
    speech = Speech(
        corpus, clips, writer, vocabulary, model.ctc_alphabet, whisper.config.num_mel_bins
    )
    dataset = BatchDataset(speech, _plan(config, speech, seed), config, seed)
    trainee = build_trainee(model, config.labels, whisper, vocabulary, special)
    return Setup(trainee, speech, tokenizer, generation, dataset)


def choose_vocabulary(
    model: ModelConfig,
    config: TrainConfig,
    tokenizer: WhisperTokenizer,
    writer: LabelWriter,
    texts: list[str],
) -> Vocabulary:
    """Return all tokens, or those that the texts can use."""
    if not model.compact_vocabulary:
        return Vocabulary.full(len(tokenizer))
    if config.labels.segmentation == "dropout":
        raise ConfigError(
            "model.compact_vocabulary needs train.labels.segmentation `short` or `full`"
        )
    pairs = [writer.text_ids(text) for text in texts]
    labels = (id_ for label, _ in pairs for id_ in label)
    prompts = (id_ for _, prompt in pairs for id_ in prompt)
    return Vocabulary.compact(len(tokenizer), labels, prompts, writer.special.end)


def finish(
    setup: Setup, model: ModelConfig, config: TrainConfig, corpus: PreparedCorpus, run_dir: Path
) -> Path:
    """Write final/ from the best checkpoint, and compare it with the start.

    Raises:
        QualityError: it is worse than the model that the run started from.
    """
    chosen = checkpoints.best(checkpoints.complete_checkpoints(run_dir / "checkpoints"))
    if chosen is not None:
        load_trainee(setup.trainee, chosen)
    out_dir = write_checkpoint(
        setup, model, config, corpus, run_dir / "final", step=chosen and checkpoints.step_of(chosen)
    )
    baseline = run_dir / "baseline.json"
    wer = None if chosen is None else checkpoints.word_error_rate(chosen)
    if wer is not None and baseline.exists():
        before = float(json.loads(baseline.read_text(encoding="utf-8"))["wer"])
        if wer > before:
            raise QualityError(
                f"dev WER is {wer:.2%} after training and was {before:.2%} before: lower train.learning_rate, or check "
                "labels and language"
            )
    return out_dir


def write_checkpoint(
    setup: Setup,
    model: ModelConfig,
    config: TrainConfig,
    corpus: PreparedCorpus,
    out_dir: Path,
    step: int | None,
) -> Path:
    """Export the weights that the trainee holds now."""
    facts = {
        "base_model": model.base,
        "short_context": config.mix.full_context_share < 1.0,
        "languages": [model.language],
        "tasks": [model.task],
        "prepared_manifest_sha256": corpus.manifest_sha256,
        "git_revision": git_revision(),
        "step": step,
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


def git_revision() -> str | None:
    """Return the commit of the code, None outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None


def _plan(config: TrainConfig, speech: Speech, seed: int) -> Any:
    planner = Planner(
        [clip.duration_s for clip in speech.clips],
        seed,
        config.batch_size,
        config.joined_batch_size,
    )
    per_step = config.gradient_accumulation_steps * _world_size()
    first = first_decay_step(config)
    phases = [
        Phase(first * per_step, config.mix),
        Phase((config.max_steps - first) * per_step, config.final_mix or config.mix),
    ]
    return planner.plan(phases)


def _world_size() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)


def _check_lengths(writer: LabelWriter, texts: list[tuple[str, str]]) -> None:
    """Refuse texts that the decoder has no room for: cutting them would teach to stop early."""
    room = MAX_TOKENS - 6
    for clip_id, text in texts:
        if len(text) > room // 4 and writer.n_tokens(text) > room:
            raise DataError(
                f"the text of clip {clip_id} has more than {room} tokens; drop it with prepare's filters"
            )


def _measure_start(
    trainer: WhisperTrainer, setup: Setup, dev_clips: list[Any], config: TrainConfig, run_dir: Path
) -> None:
    """Write the dev WER before the first step: the result has to be better, and a wrong set-up shows here."""
    path = run_dir / "baseline.json"
    if trainer.is_world_process_zero() and not path.exists():
        full = config.mix.full_context_share >= 1.0
        evaluate_dev(
            setup.trainee, setup.speech, dev_clips, config.joined_batch_size, full, 0
        ).write(path)
    trainer.accelerator.wait_for_everyone()


def _keep_fingerprint(
    model: ModelConfig, config: TrainConfig, corpus: PreparedCorpus, seed: int, run_dir: Path
) -> None:
    """Remember what the run was begun with, and refuse to resume it with anything else."""
    path = run_dir / "fingerprint.json"
    now = {
        "seed": seed,
        "world_size": _world_size(),
        "prepared_manifest_sha256": corpus.manifest_sha256,
        "model": model.model_dump(mode="json"),
        "train": config.model_dump(mode="json"),
    }
    if path.exists():
        then = json.loads(path.read_text(encoding="utf-8"))
        changed = _changes(then, now)
        if changed:
            raise ConfigError(
                f"{', '.join(changed)} changed since this run began; put it back, or start anew in another work_dir"
            )
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _changes(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    changed: list[str] = []
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed += _changes(before, after, f"{prefix}{key}.")
        elif before != after:
            changed.append(prefix + key)
    return changed


def fingerprint(value: dict[str, Any]) -> str:
    """Hash a resolved config."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
