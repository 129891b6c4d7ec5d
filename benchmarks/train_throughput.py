"""Training speed: ours with short context against the usual Trainer script.

Both take optimiser steps on the same clips of 4 s with the same model, precision and cores. The
baseline is what fine-tuning scripts do: log-mel features padded to 30 s, as float32 files on disk,
read back for every batch, and transformers' own loss. Ours reads FLAC, decodes, augments and
computes features within the measured time. The mixed recipe of small-sv-best.yaml, part of whose
windows are joined or padded to 30 s, is reported beside it: those windows hold more speech, so it
is also given in seconds of speech per second.

    python -m benchmarks.train_throughput [--size base] [--steps 6] [--batch-size 8] [--threads 2]
                                           [--device cpu] [--data-workers N]
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from benchmarks.evaluate_throughput import CLIP_S, SENTENCE, SIZES, model_size
from tests.tiny_model import scripted_checkpoint
from tests.training.small_corpus import write_corpus
from training.config import load_config
from training.prepare.shards import SAMPLE_RATE, PreparedCorpus
from training.tokenizer import load_tokenizer
from training.train.config import MixConfig, ModelConfig, TrainConfig
from training.train.setup import prepare_setup
from training.train.trainer import WhisperTrainer

_WARM_UP_STEPS = 2
_RECIPE = Path(__file__).parents[1] / "training" / "configs" / "small-sv-best.yaml"


class Stopwatch(TrainerCallback):
    """Times the steps after the first two, which also pay for allocations."""

    def __init__(self) -> None:
        self.began = 0.0
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start after the warm-up, read after every step."""
        if state.global_step == _WARM_UP_STEPS:
            self.began = time.perf_counter()
        self.seconds = time.perf_counter() - self.began


def main() -> None:
    """Measure all on one machine and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    parser.add_argument("--data-workers", type=int, help="ours only; by default as in training")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    n_clips = options.batch_size * 4
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = scripted_checkpoint(folder / "model", model_size(options.size), SENTENCE)
        clips = [(SENTENCE, CLIP_S, "")] * n_clips
        corpus = write_corpus(folder / "corpus", {"train": clips, "dev": clips[:1]})
        print(f"{options.size} size, batches of {options.batch_size}, clips of {CLIP_S:g} s")
        theirs = usual_speed(checkpoint, corpus, folder, options)
        print(f"usual script, 30 s:   {theirs:6.2f} samples/s")
        for name, mix in (("short context", MixConfig()), ("mixed recipe", recipe_mix())):
            windows, speech = our_speed(checkpoint, corpus, folder / name, mix, options)
            print(
                f"ours, {name}: {windows:6.2f} samples/s, {windows / theirs:.1f} x; "
                f"{speech:.1f} s of speech/s, {speech / theirs / CLIP_S:.1f} x"
            )


def recipe_mix() -> MixConfig:
    """Return the mix of windows of our recipe for Swedish."""
    return load_config(_RECIPE, []).train.mix


def usual_speed(
    checkpoint: Path, corpus: PreparedCorpus, folder: Path, options: argparse.Namespace
) -> float:
    """Return the samples per second of the usual script."""
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder / "usual"),
        per_device_train_batch_size=options.batch_size,
        max_steps=options.steps + _WARM_UP_STEPS,
        learning_rate=1e-5,
        bf16=True,
        use_cpu=options.device == "cpu",
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
    )
    stopwatch = Stopwatch()
    Seq2SeqTrainer(
        model=WhisperForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32),
        args=arguments,
        train_dataset=_stored_features(checkpoint, corpus, folder / "features"),
        data_collator=_collate,
        callbacks=[stopwatch],
    ).train()
    return float(options.steps * options.batch_size / stopwatch.seconds)


def our_speed(
    checkpoint: Path,
    corpus: PreparedCorpus,
    folder: Path,
    mix: MixConfig,
    options: argparse.Namespace,
) -> tuple[float, float]:
    """Return windows per second and seconds of speech per second of our trainer."""
    steps = options.steps if mix == MixConfig() else 4 * options.steps  # the mix has to even out
    config = TrainConfig(
        max_steps=steps + _WARM_UP_STEPS,
        batch_size=options.batch_size,
        joined_batch_size=max(1, options.batch_size // 4),
        learning_rate=1e-5,
        precision="bf16",
        mix=mix,
        save_every_steps=10**6,
        log_every_steps=10**6,
        device=options.device,
        data_workers=options.data_workers,
    )
    setup = prepare_setup(ModelConfig(base=str(checkpoint)), config, corpus, 1)
    trainer = WhisperTrainer(setup.trainee, setup.dataset, config, folder, 1)
    stopwatch = Stopwatch()
    counts: list[tuple[int, float]] = []

    class Counter(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            counts.append((trainer.n_windows, trainer.audio_s))
            control.should_save = False

    trainer.add_callback(stopwatch)
    trainer.add_callback(Counter())
    trainer.train()
    first, last = counts[_WARM_UP_STEPS - 1], counts[-1]
    return (last[0] - first[0]) / stopwatch.seconds, (last[1] - first[1]) / stopwatch.seconds


def _stored_features(
    checkpoint: Path, corpus: PreparedCorpus, folder: Path
) -> "torch.utils.data.Dataset[dict[str, Any]]":
    """Write padded features to disk, as `datasets.map` does, and read them row by row."""
    folder.mkdir()
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoint)
    labels = load_tokenizer(str(checkpoint))(SENTENCE).input_ids
    paths = []
    for clip in corpus.clips("train"):
        features = extractor(corpus.samples(clip), sampling_rate=SAMPLE_RATE).input_features[0]
        np.save(folder / f"{clip.id}.npy", np.asarray(features, dtype=np.float32))
        paths.append(folder / f"{clip.id}.npy")

    class Stored(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"input_features": np.load(paths[index]), "labels": labels}

    return Stored()


def _collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {
        "input_features": torch.stack([torch.from_numpy(row["input_features"]) for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


if __name__ == "__main__":
    main()
