"""From a checkpoint of a run to a folder that transformers, `convert` and `evaluate` read."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import (
    GenerationConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from training.tokenizer import save_tokenizer
from training.train.labels import SpecialTokens
from training.train.trainee import Trainee
from training.train.vocabulary import Vocabulary

FACTS = "training.json"


def export(
    trainee: Trainee,
    vocabulary: Vocabulary,
    tokenizer: WhisperTokenizer,
    special: SpecialTokens,
    generation: GenerationConfig,
    facts: dict[str, Any],
    out_dir: Path,
) -> Path:
    """Write a complete Whisper checkpoint; replaced in one step.

    Args:
        generation: of the base model, so that alignment heads, languages and suppressed tokens
            survive.
        facts: what training.json says about how it was made.
    """
    staging = out_dir.with_name(out_dir.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    whisper = full_whisper(trainee, vocabulary, special)
    whisper.save_pretrained(staging)
    generation.save_pretrained(staging)
    save_processor(tokenizer, whisper.config.num_mel_bins, staging)
    (staging / FACTS).write_text(
        json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    shutil.rmtree(out_dir, ignore_errors=True)
    staging.rename(out_dir)
    return out_dir


def full_whisper(
    trainee: Trainee, vocabulary: Vocabulary, special: SpecialTokens
) -> WhisperForConditionalGeneration:
    """Return a copy of the model with merged adapters and the tokenizer's whole vocabulary."""
    source = merged_state(trainee)
    config = type(trainee.whisper.config).from_dict(trainee.whisper.config.to_dict())
    if vocabulary.n_others:
        config.vocab_size = len(vocabulary.rows)
        config.decoder_start_token_id = special.start
        config.pad_token_id = config.bos_token_id = config.eos_token_id = special.end
        embedding = "model.decoder.embed_tokens.weight"
        source[embedding] = vocabulary.expand(source[embedding])
    whisper = WhisperForConditionalGeneration(config)
    source.pop("proj_out.weight", None)
    whisper.load_state_dict(source, strict=False)
    whisper.tie_weights()
    whisper.eval()
    return whisper


def merged_state(trainee: Trainee) -> dict[str, torch.Tensor]:
    """Return the weights of Whisper alone, with adapters added to the weights they belong to."""
    for module in trainee.whisper.modules():
        if isinstance(module, BaseTunerLayer) and not module.merged:
            module.merge()
    return {
        name.replace(".base_layer.", "."): weight.detach().cpu().clone()
        for name, weight in trainee.whisper.state_dict().items()
        if "lora_" not in name
    }


def save_processor(tokenizer: WhisperTokenizer, n_mels: int, out_dir: Path) -> None:
    """Write tokenizer and feature extractor.

    The second also as preprocessor_config.json, the only file that faster-whisper reads for it.
    """
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    WhisperProcessor(extractor, tokenizer).save_pretrained(out_dir)
    extractor.save_pretrained(out_dir)
    save_tokenizer(tokenizer, out_dir)
