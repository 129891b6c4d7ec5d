"""transformers' Seq2SeqTrainer with our batches, loss, checkpoint files and schedule."""

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments

from services.contract.errors import CheckpointError, QualityError
from training.prepare.parallel import n_cores
from training.train.batches import BatchDataset, only_item
from training.train.checkpoints import mark_complete
from training.train.config import TrainConfig
from training.train.schedule import learning_rate_factor
from training.train.setup import runs_on_cpu
from training.train.stopping import stop_with_trainer
from training.train.trainee import Trainee

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
_WORKERS_BESIDE_A_GPU = 8


class WhisperTrainer(Seq2SeqTrainer):
    """Trains a `Trainee` on planned batches; evaluation is a callback that runs after the save."""

    def __init__(
        self, trainee: Trainee, dataset: BatchDataset, config: TrainConfig, out_dir: Path, seed: int
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._losses: dict[str, Tensor] = {}
        self._n_losses = 0
        self.n_windows = 0
        self.audio_s = 0.0
        self.trainee = trainee
        self.checkpoints_dir = out_dir
        if config.activation_checkpointing:  # the trainer can only ask a model of transformers
            trainee.whisper.activation_checkpointing_enable()
        super().__init__(
            model=trainee,
            args=on_one_gpu(_arguments(config, out_dir, seed)),
            train_dataset=dataset,
            data_collator=only_item,
        )
        # Its samples are our batches and its epoch our whole run: LogCallback says what is true.
        self.remove_callback(PrinterCallback)
        # Our loss averages each batch by itself; without this the gradients of N accumulated
        # batches would be N times too large (transformers#47688).
        self.loss_is_scaled_for_ga = False

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """Follow our schedule, which knows max_steps from the config alone."""
        scheduled: Any = self.optimizer if optimizer is None else optimizer
        if not isinstance(self.lr_scheduler, LambdaLR):
            self.lr_scheduler = LambdaLR(
                scheduled, lambda step: learning_rate_factor(step, self._config)
            )
        return self.lr_scheduler

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Read the plan in order, with data workers that leave stopping to their trainer.

        Slurm, systemd and `timeout` signal them too, and one that dies takes the run along before
        it has a checkpoint.
        """
        wanted = self._config.data_workers
        if wanted is None:
            wanted = 0 if runs_on_cpu(self._config) else _WORKERS_BESIDE_A_GPU
        n_workers = min(wanted, n_cores())  # any number reads the same batches
        loader: DataLoader[Any] = self.accelerator.prepare(
            DataLoader(
                self._dataset,
                collate_fn=only_item,
                num_workers=n_workers,
                persistent_workers=n_workers > 0,
                pin_memory=not runs_on_cpu(self._config),
                worker_init_fn=stop_with_trainer,
            )
        )
        return loader

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a batch and remember its parts for the log."""
        n_frames = inputs.pop("n_frames")
        self.n_windows += len(n_frames)
        self.audio_s += float(n_frames.sum()) / 100
        outputs = model(**inputs)
        for name in ("cross_entropy", "ctc", "guide"):
            if name in outputs:
                self._losses[name] = (
                    self._losses.get(name, torch.zeros((), device=n_frames.device)) + outputs[name]
                )
        self._n_losses += 1
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def take_losses(self) -> dict[str, float]:
        """Return the mean of each part of the loss since the last call."""
        means = {
            name: float(total) / max(1, self._n_losses) for name, total in self._losses.items()
        }
        self._losses, self._n_losses = {}, 0
        return means

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        checkpoint = self.checkpoints_dir / f"checkpoint-{self.state.global_step}"
        if not all(bool(weight.isfinite().all()) for weight in self.trainee.parameters()):
            raise QualityError(
                f"the weights are no numbers any more at step {self.state.global_step}: lower "
                "train.learning_rate, or try another train.precision or model.base, in another "
                "work_dir"
            )
        try:
            super()._save_checkpoint(model, trial)
        # A full disk is a RuntimeError to torch.save and a SafetensorError to safetensors.
        except (OSError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"{checkpoint} cannot be written: {error}; free some space and run again"
            ) from error
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            mark_complete(checkpoint)

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None
    ) -> None:
        """Write the trained weights; tied ones once."""
        folder = Path(output_dir) if output_dir else self.checkpoints_dir
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trainee_state(self.trainee), folder / WEIGHTS)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        load_trainee(self.trainee, Path(resume_from_checkpoint))


def trainee_state(trainee: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a trainee without the output projection, which is the embedding."""
    return {
        name: weight.detach().contiguous()
        for name, weight in trainee.state_dict().items()
        if not name.endswith("proj_out.weight")
    }


def load_trainee(trainee: nn.Module, checkpoint: Path) -> None:
    """Read the weights of a checkpoint into a trainee.

    Raises:
        CheckpointError: they are those of another model.
    """
    load_weights(trainee, load_file(checkpoint / WEIGHTS), checkpoint)


def load_weights(trainee: nn.Module, weights: dict[str, Tensor], source: Path) -> None:
    """Give a trainee weights in the form of `trainee_state`.

    Raises:
        CheckpointError: they are those of another model.
    """
    missing, unexpected = trainee.load_state_dict(weights, strict=False)
    lost = [name for name in missing if not name.endswith("proj_out.weight")]
    if lost or unexpected:
        raise CheckpointError(
            f"{source} holds another model ({(lost + unexpected)[0]}); use another work_dir"
        )


def on_one_gpu(arguments: Seq2SeqTrainingArguments) -> Seq2SeqTrainingArguments:
    """Keep the trainer from cutting each batch into one part per GPU, as it does without torchrun.

    The parts of our batches differ in length, so they cannot be cut.
    """
    if arguments.n_gpu > 1:
        logger.warning(
            "one of %d GPUs is used; torchrun --nproc-per-node %d -m training train uses them all",
            arguments.n_gpu,
            arguments.n_gpu,
        )
        arguments._n_gpu = 1
    return arguments


def _arguments(config: TrainConfig, out_dir: Path, seed: int) -> Seq2SeqTrainingArguments:
    return Seq2SeqTrainingArguments(
        output_dir=str(out_dir),
        max_steps=config.max_steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        per_device_train_batch_size=1,  # an item of the data set is a batch
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        bf16=config.precision == "bf16",
        fp16=config.precision == "fp16",
        use_cpu=runs_on_cpu(config),
        save_strategy="steps",
        save_steps=config.save_every_steps,
        logging_steps=config.log_every_steps,
        logging_nan_inf_filter=False,  # which would log a loss that is no number as 0
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )
