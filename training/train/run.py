"""Trains a model: open the data, build the model, measure the start, fit, write the result.

run/
  fingerprint.json            what the run was begun with
  baseline.json               dev WER of the model it started from, padded to 30 s
  log.jsonl, tensorboard/     loss, learning rate, speed, dev WER
  checkpoints/checkpoint-N/   resumable states; evaluation.json beside the weights
  final/                      the finished model, as transformers and `convert` read it
  lock                        held while a process trains there
"""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

from accelerate import PartialState

from services.contract.errors import CheckpointError
from training.prepare.shards import PreparedCorpus
from training.train import checkpoints
from training.train.callbacks import CheckpointCallback, LogCallback
from training.train.config import ModelConfig, TrainConfig
from training.train.dev_evaluation import choose_dev_clips
from training.train.fingerprint import BASELINE, FINAL, keep_fingerprint
from training.train.finish import check_result, finish
from training.train.remote import RemoteCheckpoints
from training.train.setup import is_first_process, join_processes, prepare_setup
from training.train.stopping import StopCallback
from training.train.trainer import WhisperTrainer

logger = logging.getLogger(__name__)


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
        True when the run is complete and final/ is written, False when it stopped and can be
        resumed.
    Raises:
        ConfigError: the config differs from the one the run began with.
        QualityError: the result is worse on dev than its start; final/ is written all the same.
        CheckpointError: the disk is full, the remote copies cannot be read, or another run is at
            work there.
    """
    processes = join_processes(config)
    if (run_dir / FINAL).exists():
        keep_fingerprint(model, config, corpus, seed, run_dir)
        check_result(run_dir)
        logger.info("already trained: %s", run_dir / FINAL)
        return True
    with _alone(run_dir) if is_first_process() else contextlib.nullcontext():
        return _train(model, config, corpus, run_dir, seed, max_time_s, processes)


@contextlib.contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """Keep a second run out: the two would write into each other's checkpoints.

    The lock is not that of `flock`, which data workers would keep for seconds after a kill.

    Raises:
        CheckpointError: another run is at work there.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # POSIX allows either
            raise CheckpointError(
                f"another run is at work in {run_dir}; wait until it has ended, or choose another "
                "work_dir"
            ) from error
        except OSError:  # some mounted drives know no locks
            logger.warning("%s cannot be locked: start no second run there", run_dir)
        yield


def _train(
    model: ModelConfig,
    config: TrainConfig,
    corpus: PreparedCorpus,
    run_dir: Path,
    seed: int,
    max_time_s: float | None,
    processes: PartialState,
) -> bool:
    folder = run_dir / "checkpoints"
    stop = StopCallback(max_time_s)
    remote = (
        RemoteCheckpoints(config.remote, config.n_kept, config.saves_at) if config.remote else None
    )
    with processes.main_process_first():  # the others find the folder as it is to be
        if remote is not None and is_first_process():
            remote.fetch(folder)
        keep_fingerprint(model, config, corpus, seed, run_dir)
        start = checkpoints.newest_complete(folder)
    setup = prepare_setup(model, config, corpus, seed)
    trainer = WhisperTrainer(setup.trainee, setup.dataset, config, folder, seed)
    log = LogCallback(trainer, run_dir)
    dev_clips = choose_dev_clips(corpus, config.dev_clips, seed)
    saver = CheckpointCallback(trainer, setup.speech, dev_clips, config, log, remote)
    for callback in (log, saver, stop):
        trainer.add_callback(callback)
    if start is not None:
        if trainer.is_world_process_zero():
            logger.info("continuing from %s", start)
            saver.evaluate_missed(start)
        trainer.accelerator.wait_for_everyone()
    elif model.base is not None:
        _measure_start(trainer, saver, run_dir / BASELINE)
    with stop.listening():
        trainer.train(resume_from_checkpoint=None if start is None else str(start))
    if remote is not None:
        remote.close()
    if not stop.stopped and trainer.is_world_process_zero():
        finish(saver, setup, model, config, run_dir)
    trainer.accelerator.wait_for_everyone()
    return not stop.stopped


def _measure_start(trainer: WhisperTrainer, saver: CheckpointCallback, path: Path) -> None:
    """Write the dev WER before the first step: the result has to be better.

    A wrong language, task or tokenizer shows here, before it costs hours.
    """
    if trainer.is_world_process_zero() and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        result = saver.measure_start()
        result.write(path)
        logger.info(
            "dev WER before training: %.2f %% (raw %.2f %%), padded to 30 s", *result.percent
        )
    trainer.accelerator.wait_for_everyone()
