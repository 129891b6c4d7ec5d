"""Builds the model to train, from a checkpoint or from random weights."""

import dataclasses

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import nn
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.modeling_whisper import sinusoids

from services.contract.errors import CheckpointError, ConfigError, TokenizerError
from training.convert.checkpoint import check_configs
from training.train.alignment_heads import Head
from training.train.config import LabelConfig, LoraConfig, ModelConfig, ScratchConfig
from training.train.labels import SpecialTokens
from training.train.trainee import Trainee
from training.train.vocabulary import Vocabulary

_POSITION_SCALE = (
    0.05  # of the sinusoids that decoder positions start from, near the scale of other embeddings
)


def load_base(config: ModelConfig) -> tuple[WhisperForConditionalGeneration, GenerationConfig]:
    """Load the weights to start from as float32; half-precision ones cannot be trained.

    Raises:
        ConfigError: no Whisper checkpoint there, an adapter, or one that `convert` would refuse
            when all the training is done.
    """
    try:
        model = WhisperForConditionalGeneration.from_pretrained(
            config.base, revision=config.revision or "main", dtype=torch.float32
        )
    # TypeError: a config.json that is a list; SafetensorError: half a download.
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ConfigError(
            f"model.base: no Whisper checkpoint at {config.base!r}; give a hub id or a folder "
            "with a whole model.safetensors and its config.json",
            param="model.base",
        ) from error
    if any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        raise ConfigError(
            f"model.base: {config.base} holds an adapter; merge it into its model (peft's "
            "merge_and_unload), save that in a folder of its own and start from there",
            param="model.base",
        )
    try:
        check_configs(model.config.to_dict(), model.generation_config.to_dict())
    except CheckpointError as error:
        raise ConfigError(
            f"model.base: {config.base}: {error.message}", param="model.base"
        ) from error
    return model, model.generation_config


def random_whisper(
    config: ScratchConfig, vocabulary: Vocabulary, special: SpecialTokens
) -> WhisperForConditionalGeneration:
    """Make a model from random weights, with smooth decoder positions and timestamps.

    Positions and times that training shows rarely then resemble their neighbours from the start.
    """
    end = vocabulary.row(special.end)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=vocabulary.n_rows,
            num_mel_bins=config.n_mels,
            d_model=config.d_model,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            encoder_attention_heads=config.attention_heads,
            decoder_attention_heads=config.attention_heads,
            encoder_ffn_dim=4 * config.d_model,
            decoder_ffn_dim=4 * config.d_model,
            decoder_start_token_id=vocabulary.row(special.start),
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            begin_suppress_tokens=None,
        )
    )
    decoder = model.model.decoder
    first = vocabulary.row(special.first_timestamp)
    with torch.no_grad():
        positions = decoder.embed_positions.weight
        positions.copy_(_POSITION_SCALE * sinusoids(*positions.shape))
        stamps = decoder.embed_tokens.weight[first : first + 1501]
        stamps.copy_(_POSITION_SCALE * sinusoids(*stamps.shape))
    return model


def build_trainee(
    config: ModelConfig,
    labels: LabelConfig,
    whisper: WhisperForConditionalGeneration,
    vocabulary: Vocabulary,
    special: SpecialTokens,
) -> Trainee:
    """Add what only training needs: heads, dropout, frozen parts, adapters."""
    _set_dropout(whisper, config.dropout)
    whisper.set_attn_implementation(config.attention)
    if config.freeze_encoder:
        whisper.freeze_encoder()
    if config.lora is not None:
        whisper = add_adapters(whisper, config.lora)
    d_model = whisper.config.d_model
    first = vocabulary.row(special.first_timestamp)
    return Trainee(
        whisper,
        ctc_head=nn.Linear(d_model, len(config.ctc_alphabet) + 1)
        if config.ctc_weight > 0
        else None,
        ctc_weight=config.ctc_weight,
        logit_bias=vocabulary.logit_bias(),
        timestamp_rows=(first, first + 1501),
        timestamp_smoothing=labels.timestamp_smoothing,
        label_smoothing=labels.label_smoothing,
        guide_weight=config.guide_weight,
        guide_heads=config.guide_heads,
    )


def add_adapters(
    whisper: WhisperForConditionalGeneration, config: LoraConfig
) -> WhisperForConditionalGeneration:
    """Freeze the weights and inject low-rank adapters into the named modules, in place.

    Without a task type: peft's wrapper for sequence models passes arguments that Whisper does not
    take (peft#1988).

    Raises:
        ConfigError: none of the modules is there.
    """
    from peft import LoraConfig as PeftLoraConfig
    from peft import inject_adapter_in_model

    whisper.requires_grad_(False)
    adapters = PeftLoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
    )
    try:
        inject_adapter_in_model(adapters, whisper)
    except ValueError as error:
        raise ConfigError(
            "model.lora.target_modules: Whisper has no such modules; choose among q_proj, k_proj, "
            "v_proj, out_proj, fc1, fc2",
            param="model.lora.target_modules",
        ) from error
    return whisper


def check_tokenizer(whisper: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer) -> None:
    """Refuse a tokenizer that is not the model's.

    Raises:
        TokenizerError: the special tokens would not have the ids that the model was trained with.
    """
    n_rows, n_tokens = whisper.config.vocab_size, len(tokenizer)
    start = tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
    if start != whisper.config.decoder_start_token_id or not n_rows - 1501 <= n_tokens <= n_rows:
        raise TokenizerError(
            f"the tokenizer has {n_tokens} tokens and <|startoftranscript|> {start}, the model "
            f"{n_rows} and {whisper.config.decoder_start_token_id}: take the model's own tokenizer"
        )


def scratch_generation_config(
    special: SpecialTokens, tokenizer: WhisperTokenizer, language: str, heads: list[Head]
) -> GenerationConfig:
    """Write the generation facts that a checkpoint brings along and a model from scratch lacks."""
    ids = dataclasses.asdict(special)
    languages = [
        token
        for token in tokenizer.get_added_vocab()
        if 4 <= len(token) - 2 and _is_language(token)
    ]
    return GenerationConfig(
        decoder_start_token_id=ids["start"],
        eos_token_id=ids["end"],
        pad_token_id=ids["end"],
        bos_token_id=ids["end"],
        max_length=448,
        is_multilingual=True,
        lang_to_id={token: tokenizer.convert_tokens_to_ids(token) for token in languages},
        task_to_id={
            task: tokenizer.convert_tokens_to_ids(f"<|{task}|>")
            for task in ("transcribe", "translate")
        },
        no_timestamps_token_id=ids["no_timestamps"],
        alignment_heads=[list(head) for head in heads],
        prev_sot_token_id=ids["previous"],
        max_initial_timestamp_index=50,
        return_timestamps=False,
        begin_suppress_tokens=[tokenizer.convert_tokens_to_ids("Ġ"), ids["end"]],
        suppress_tokens=[ids["start"], ids["previous"], ids["no_speech"]]
        + [
            tokenizer.convert_tokens_to_ids(f"<|{name}|>")
            for name in ("translate", "transcribe", "startoflm")
        ],
        language=language,
        task="transcribe",
    )


def _is_language(token: str) -> bool:
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return token[2:-2] in LANGUAGES


def _set_dropout(whisper: WhisperForConditionalGeneration, dropout: float) -> None:
    for module in whisper.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = dropout  # type: ignore[assignment]
