"""Evaluation speed: ours through CTranslate2 against Trainer's generate-based evaluation.

Both decode the same clips of 4 s greedily with the same weights on the same cores, and compute the
word error rate. The baseline is what fine-tuning scripts do: log-mel features padded to 30 s and
stored beforehand (its feature extraction costs nothing here), float32, `predict_with_generate`.
Ours reads FLAC and computes features within the measured time. Weights are random but for a table
that makes every model say the same sentence, so both generate the same number of tokens.

    python -m benchmarks.evaluate_throughput [--size base] [--clips 32] [--threads 2] [--device cpu]
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from services.contract.model_bundle import read
from tests.tiny_model import scripted_checkpoint
from tests.training.small_corpus import write_corpus
from training.convert.weights import write_weights
from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.decode import Decoder
from training.evaluate.metrics import word_error_rate
from training.evaluate.normalise import normalise
from training.prepare.shards import SAMPLE_RATE, PreparedCorpus
from training.tokenizer import load_tokenizer

SENTENCE = "Vi ses kvart över sju på torget i morgon om det inte regnar."
CLIP_S = 4.0
SIZES = {
    "tiny": (384, 4, 6),
    "base": (512, 6, 8),
    "small": (768, 12, 12),
}


def main() -> None:
    """Measure both on one machine and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.size} size, {options.clips} clips of {CLIP_S:g} s, {options.threads} threads")
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = scripted_checkpoint(
            Path(scratch) / "model", model_size(options.size), SENTENCE
        )
        clips = [(SENTENCE, CLIP_S, "")] * options.clips
        corpus = write_corpus(Path(scratch) / "corpus", {"test": clips})
        theirs = trainer_seconds(checkpoint, corpus, options, Path(scratch) / "out")
        print(
            f"{options.size} size, {options.clips} clips of {CLIP_S:g} s, {options.threads} threads"
        )
        print(f"Trainer, float32, 30 s: {options.clips / theirs:6.2f} clips/s")
        for quantization in ("float32", "int8" if options.device == "cpu" else "float16"):
            converted = Path(scratch) / quantization
            write_weights(checkpoint, converted, quantization)  # type: ignore[arg-type]
            for context in ("full", "short"):
                ours = our_seconds(converted, corpus, context, options)  # type: ignore[arg-type]
                speed = options.clips / ours
                print(
                    f"ours, {quantization}, {context}: {speed:.2f} clips/s, {theirs / ours:.1f} x"
                )


def trainer_seconds(
    checkpoint: Path, corpus: PreparedCorpus, options: argparse.Namespace, out_dir: Path
) -> float:
    """Evaluate with Seq2SeqTrainer on features that are ready in memory."""
    tokenizer = load_tokenizer(str(checkpoint))
    model = WhisperForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoint)
    labels = tokenizer(SENTENCE).input_ids
    dataset = [
        {
            "input_features": extractor(
                corpus.samples(clip), sampling_rate=SAMPLE_RATE
            ).input_features[0],
            "labels": labels,
        }
        for clip in corpus.clips("test")
    ]

    def metrics(prediction: Any) -> dict[str, float]:
        ids = prediction.predictions
        texts = tokenizer.batch_decode(ids.clip(min=0), skip_special_tokens=True)
        rate = word_error_rate([normalise(SENTENCE)] * len(texts), map(normalise, texts))
        return {"wer": rate}

    arguments = Seq2SeqTrainingArguments(
        output_dir=str(out_dir),
        per_device_eval_batch_size=options.batch_size,
        predict_with_generate=True,
        generation_max_length=225,
        use_cpu=options.device == "cpu",
        disable_tqdm=True,
        report_to="none",
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        eval_dataset=dataset,
        data_collator=_collate,
        compute_metrics=metrics,
    )
    started = time.perf_counter()
    result = trainer.evaluate()
    seconds = time.perf_counter() - started
    if result["eval_wer"] != 0.0:
        raise SystemExit(f"the baseline does not work: WER {result['eval_wer']}")
    return seconds


def our_seconds(
    converted: Path, corpus: PreparedCorpus, context: Context, options: argparse.Namespace
) -> float:
    """Evaluate with our decoder, reading and features included."""
    config = EvaluateConfig(
        beam_size=1,
        timestamps=False,
        batch_size=options.batch_size,
        device=options.device,
        threads=options.threads,
    )
    clips = corpus.clips("test")
    decoder = Decoder(read(converted), config)
    started = time.perf_counter()
    decoded = decoder.decode(corpus, clips, context, f"decoding, {context}")
    texts = (normalise(each.text) for each in decoded.decoded)
    rate = word_error_rate((normalise(clip.text) for clip in clips), texts)
    seconds = time.perf_counter() - started
    if rate != 0.0:
        raise SystemExit(f"our evaluation does not work: WER {rate}")
    return seconds


def _collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {
        "input_features": torch.stack([torch.as_tensor(row["input_features"]) for row in rows]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def model_size(name: str) -> dict[str, int]:
    d_model, layers, heads = SIZES[name]
    return {
        "d_model": d_model,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * d_model,
        "decoder_ffn_dim": 4 * d_model,
    }


if __name__ == "__main__":
    main()
