"""Beside the steps: logs, evaluation after each save, tidying of old checkpoints."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.prepare.shards import Clip
from training.progress import Pace
from training.train import checkpoints
from training.train.batches import Speech
from training.train.config import TrainConfig
from training.train.dev_evaluation import DevResult, evaluate_dev
from training.train.remote import RemoteCheckpoints
from training.train.trainer import WhisperTrainer, load_trainee

logger = logging.getLogger(__name__)


class LogCallback(TrainerCallback):
    """Writes loss, learning rate and speed to TensorBoard, to log.jsonl and to the terminal."""

    def __init__(self, trainer: WhisperTrainer, run_dir: Path) -> None:
        self._trainer = trainer
        self._path = run_dir / "log.jsonl"
        self._writer = SummaryWriter(str(run_dir / "tensorboard"))
        self._since = time.monotonic()
        self._n_windows, self._audio_s = 0, 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock at the step that this process starts from."""
        self._first_step = state.global_step
        self._pace = Pace(state.max_steps - state.global_step)
        self._since = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Add speed and parts of the loss to what the trainer reports."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" not in logs or not state.is_world_process_zero:
            return
        elapsed_s = max(1e-9, time.monotonic() - self._since)
        trainer = self._trainer
        line: dict[str, Any] = {
            "step": state.global_step,
            **{name: logs[name] for name in ("loss", "learning_rate", "grad_norm") if name in logs},
            **trainer.take_losses(),
            "samples_per_second": (trainer.n_windows - self._n_windows)
            * args.world_size
            / elapsed_s,
            "audio_s_per_second": (trainer.audio_s - self._audio_s) * args.world_size / elapsed_s,
        }
        self._since, self._n_windows, self._audio_s = (
            time.monotonic(),
            trainer.n_windows,
            trainer.audio_s,
        )
        self.write(line)
        figures = (f"{name} {value:.5g}" for name, value in line.items() if name != "step")
        left = self._pace.left(state.global_step - self._first_step)
        step = f"step {state.global_step} of {state.max_steps}"
        print("  ".join((step, *figures, f"{left} left")), flush=True)

    def write(self, line: dict[str, Any]) -> None:
        """Write one line of figures to the files."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in line.items():
            if name != "step":
                self._writer.add_scalar(f"train/{name}", value, line["step"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the event file."""
        self._writer.close()


class CheckpointCallback(TrainerCallback):
    """After a save: evaluates, copies, deletes what is old; in one process, others wait."""

    def __init__(
        self,
        trainer: WhisperTrainer,
        speech: Speech,
        dev_clips: list[Clip],
        config: TrainConfig,
        log: LogCallback,
        remote: RemoteCheckpoints | None,
    ) -> None:
        self._trainer = trainer
        self._speech = speech
        self._dev_clips = dev_clips
        self._config = config
        self._log = log
        self._remote = remote

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluate the checkpoint that was just saved, unless the run is in a hurry to stop."""
        folder = self._trainer.checkpoints_dir
        checkpoint = folder / f"{checkpoints.PREFIX}{state.global_step}"
        is_last = state.global_step >= state.max_steps
        if state.is_world_process_zero:
            if self._is_due(state.global_step) and (is_last or not control.should_training_stop):
                self.evaluate(checkpoint, state.global_step)
            if self._remote is not None:
                self._remote.copy(checkpoint)
                if control.should_training_stop:
                    self._remote.wait()
            checkpoints.keep(folder, self._config.n_kept, self._config.saves_at)
        self._trainer.accelerator.wait_for_everyone()

    def evaluate(self, checkpoint: Path, step: int) -> None:
        """Write the dev WER of the current weights beside a checkpoint."""
        result = self.measure(step)
        result.write(checkpoint / checkpoints.EVALUATION)
        self._log.write({"step": step, "dev_wer": result.wer, "dev_wer_raw": result.wer_raw})
        logger.info("step %d: dev WER %.2f %% (raw %.2f %%)", step, *result.percent)

    def evaluate_missed(self, checkpoint: Path) -> None:
        """Evaluate a checkpoint that a run was stopped at before it came to that."""
        step = checkpoints.step_of(checkpoint)
        if self._is_due(step) and checkpoints.word_error_rate(checkpoint) is None:
            load_trainee(self._trainer.trainee, checkpoint)
            self.evaluate(checkpoint, step)
            if self._remote is not None:
                self._remote.copy(checkpoint)

    def _is_due(self, step: int) -> bool:
        """Whether every run evaluates at this step: the best is chosen among those alone."""
        at_end = step >= self._config.max_steps
        due = at_end or step % self._config.evaluate_every_steps == 0
        return due and self._config.saves_at(step)

    def measure_start(self) -> DevResult:
        """Transcribe the dev clips before the first step, padded to 30 s whatever the mix is.

        A Whisper that was not trained with short context hardly reads it: any result would be
        better than that.
        """
        return self._measure(0, full=True)

    def measure(self, step: int) -> DevResult:
        """Transcribe the dev clips with the current weights, in the context of their training."""
        return self._measure(step, full=self._config.mix.full_context_share >= 1.0)

    def _measure(self, step: int, *, full: bool) -> DevResult:
        size = self._config.joined_batch_size if full else self._config.batch_size
        return evaluate_dev(self._trainer.trainee, self._speech, self._dev_clips, size, full, step)
