"""A transformers checkpoint before conversion: what it must hold, and what is known about it.

Conversion itself is silent about most of what can be wrong here: without `alignment_heads` word
times are poor, without `lang_to_id` language detection fails, and a foreign tokenizer gives
fluent nonsense.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contract.errors import CheckpointError, TokenizerError
from training.tokenizer import load_tokenizer

FACTS_FILE = "training.json"
_REQUIRED_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
)
_WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")
# Vocabulary sizes of the multilingual models and their number of languages (openai/whisper).
_N_LANGUAGES = {51865: 99, 51866: 100}


class TrainingFacts(BaseModel):
    """What training wrote beside the weights, in training.json."""

    model_config = ConfigDict(frozen=True)

    base_model: str | None = None
    """None when training started from random weights."""
    short_context: bool = False
    languages: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    prepared_manifest_sha256: str | None = None
    git_revision: str | None = None


def read_facts(checkpoint: Path) -> TrainingFacts:
    """Read training.json; a checkpoint from elsewhere has none and gets the defaults."""
    path = checkpoint / FACTS_FILE
    if not path.is_file():
        return TrainingFacts(base_model="unknown")
    try:
        return TrainingFacts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {error.errors()[0]['msg']}") from error


def check_checkpoint(checkpoint: Path) -> None:
    """Refuse a checkpoint that would convert without a warning and then serve badly.

    Raises:
        CheckpointError: says which check failed and why.
        TokenizerError: the tokenizer is not the one that the model was trained with.
    """
    _check_files(checkpoint)
    config = read_json(checkpoint / "config.json")
    generation = read_json(checkpoint / "generation_config.json")
    check_configs(config, generation)
    _check_mel_bands(checkpoint, config)
    _check_tokenizer(checkpoint, config, generation)


def check_configs(config: dict[str, Any], generation: dict[str, Any]) -> None:
    """Check what training takes over from its base unchanged.

    Args:
        config: content of config.json.
        generation: content of generation_config.json.
    Raises:
        CheckpointError: says which check failed and why.
    """
    _check_architecture(config)
    _check_languages(config, generation)
    _check_alignment_heads(config, generation)
    _check_special_tokens(generation)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return content


def _check_files(checkpoint: Path) -> None:
    missing = [name for name in _REQUIRED_FILES if not (checkpoint / name).is_file()]
    if not any((checkpoint / name).is_file() for name in _WEIGHT_FILES):
        missing.append(_WEIGHT_FILES[0])
    if missing:
        raise CheckpointError(f"files: {checkpoint} lacks {', '.join(missing)}")


def _check_architecture(config: dict[str, Any]) -> None:
    if config.get("model_type") != "whisper":
        raise CheckpointError(f"architecture: {config.get('model_type')!r} is not whisper")
    if config.get("vocab_size") not in _N_LANGUAGES:
        raise CheckpointError(
            f"vocabulary: {config.get('vocab_size')} tokens are not a multilingual Whisper "
            f"({' or '.join(map(str, _N_LANGUAGES))}); start from a multilingual model and never "
            "resize its embeddings"
        )


def _check_mel_bands(checkpoint: Path, config: dict[str, Any]) -> None:
    bands = read_json(checkpoint / "preprocessor_config.json").get("feature_size")
    if bands != config.get("num_mel_bins"):
        raise CheckpointError(
            f"mel bands: preprocessor_config.json makes {bands}, the encoder takes "
            f"{config.get('num_mel_bins')}; copy the file from the base model"
        )


def _check_languages(config: dict[str, Any], generation: dict[str, Any]) -> None:
    expected = _N_LANGUAGES[config["vocab_size"]]
    found = len(generation.get("lang_to_id") or {})
    if found != expected:
        raise CheckpointError(
            f"languages: generation_config.json lists {found} in lang_to_id instead of {expected}; "
            "copy the file from openai's model of this size"
        )


def _check_alignment_heads(config: dict[str, Any], generation: dict[str, Any]) -> None:
    heads = generation.get("alignment_heads")
    if not heads:
        raise CheckpointError(
            "alignment heads: generation_config.json has none, so word times would be poor; copy "
            "them from openai's model of this size"
        )
    if not isinstance(heads, list) or not all(map(_is_head, heads)):
        raise CheckpointError(
            "alignment heads: generation_config.json must list pairs of layer and head; copy them "
            "from openai's model of this size"
        )
    for layer, head in heads:
        if layer >= config["decoder_layers"] or head >= config["decoder_attention_heads"]:
            raise CheckpointError(
                f"alignment heads: layer {layer}, head {head} does not exist in this decoder; they "
                "belong to a model of another size"
            )


def _is_head(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(number, int) and number >= 0 for number in pair)
    )


def _check_special_tokens(generation: dict[str, Any]) -> None:
    needed = ("no_timestamps_token_id", "task_to_id", "suppress_tokens", "begin_suppress_tokens")
    missing = [name for name in needed if generation.get(name) is None]
    if missing:
        raise CheckpointError(
            f"generation config: {', '.join(missing)} missing; copy generation_config.json from "
            "openai's model of this size instead of rebuilding it"
        )


def _check_tokenizer(checkpoint: Path, config: dict[str, Any], generation: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(str(checkpoint))
    expected = {
        "<|startoftranscript|>": config.get("decoder_start_token_id"),
        "<|notimestamps|>": generation["no_timestamps_token_id"],
        **generation["lang_to_id"],
        **{f"<|{task}|>": token for task, token in generation["task_to_id"].items()},
    }
    for token, token_id in expected.items():
        if tokenizer.convert_tokens_to_ids(token) != token_id:
            raise TokenizerError(
                f"tokenizer: {token} is {tokenizer.convert_tokens_to_ids(token)} in tokenizer.json "
                f"and {token_id} in the model; this is the tokenizer of another model"
            )
    if len(tokenizer) > config["vocab_size"]:
        raise TokenizerError(
            f"tokenizer: {len(tokenizer)} tokens for {config['vocab_size']} embeddings; never add "
            "tokens to Whisper"
        )
