"""What a converted model must say of itself before anybody may serve it.

CTranslate2 converts without a warning when these facts are missing or wrong. Each check is one
function; a failed one raises ModelBundleError with the name of the check and the reason.
"""

import json
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import read
from training.convert.checkpoint import read_json

# The empty token by which CTranslate2 tells multilingual models from English ones.
_MULTILINGUAL_TOKEN = 50256
_SECONDS_OF_NOISE = 2


def check_converted(bundle_dir: Path, checkpoint: Path) -> None:
    """Compare a converted model with its checkpoint and load it as its users will.

    Raises:
        ModelBundleError: says which check failed and why.
    """
    config = read_json(checkpoint / "config.json")
    generation = read_json(checkpoint / "generation_config.json")
    converted = read_json(bundle_dir / "config.json")
    _check_files(bundle_dir)
    _check_vocabulary(bundle_dir, config)
    _check_language_ids(converted, generation)
    _check_alignment_heads(converted, generation)
    _check_suppressed_tokens(converted, generation)
    _check_facts_of_the_engine(bundle_dir, config, generation)
    _check_loads_in_faster_whisper(bundle_dir)


def _check_files(bundle_dir: Path) -> None:
    read(bundle_dir)
    if not (bundle_dir / "preprocessor_config.json").is_file():
        raise ModelBundleError("files: preprocessor_config.json is missing from the bundle")


def _check_vocabulary(bundle_dir: Path, config: dict[str, Any]) -> None:
    vocabulary = json.loads((bundle_dir / "vocabulary.json").read_text(encoding="utf-8"))
    if len(vocabulary) != config["vocab_size"]:
        raise ModelBundleError(
            f"vocabulary: {len(vocabulary)} tokens for {config['vocab_size']} embeddings"
        )
    if vocabulary[_MULTILINGUAL_TOKEN] != "":
        raise ModelBundleError(
            f"multilingual: token {_MULTILINGUAL_TOKEN} is {vocabulary[_MULTILINGUAL_TOKEN]!r} "
            "instead of the empty token, so the model would be taken for an English one"
        )
    if vocabulary[-1] != "<|30.00|>":
        raise ModelBundleError(f"timestamps: the last token is {vocabulary[-1]!r}, not <|30.00|>")


def _check_language_ids(converted: dict[str, Any], generation: dict[str, Any]) -> None:
    expected = sorted(generation["lang_to_id"].values())
    if converted.get("lang_ids") != expected:
        raise ModelBundleError(
            f"languages: {len(converted.get('lang_ids') or [])} ids were converted instead of "
            f"{len(expected)}, so language detection would fail"
        )


def _check_alignment_heads(converted: dict[str, Any], generation: dict[str, Any]) -> None:
    if converted.get("alignment_heads") != [list(pair) for pair in generation["alignment_heads"]]:
        raise ModelBundleError(
            "alignment heads: those converted differ from the checkpoint's, so word times would "
            "be poor"
        )


def _check_suppressed_tokens(converted: dict[str, Any], generation: dict[str, Any]) -> None:
    names = {"suppress_ids": "suppress_tokens", "suppress_ids_begin": "begin_suppress_tokens"}
    for ours, theirs in names.items():
        if converted.get(ours) != generation[theirs]:
            raise ModelBundleError(f"suppressed tokens: {ours} differs from {theirs}")


def _check_facts_of_the_engine(
    bundle_dir: Path, config: dict[str, Any], generation: dict[str, Any]
) -> None:
    model = load_engine(bundle_dir)
    facts = {
        "multilingual": (model.is_multilingual, True),
        "mel bands": (model.n_mels, config["num_mel_bins"]),
        "number of languages": (model.num_languages, len(generation["lang_to_id"])),
    }
    for name, (found, expected) in facts.items():
        if found != expected:
            raise ModelBundleError(f"{name}: the loaded model says {found}, must be {expected}")


def _check_loads_in_faster_whisper(bundle_dir: Path) -> None:
    """Transcribe noise with every option that needs facts of the bundle."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * _SECONDS_OF_NOISE).astype(np.float32)
    try:
        model = faster_whisper.WhisperModel(str(bundle_dir), device="cpu", local_files_only=True)
        segments, _ = model.transcribe(
            noise, temperature=0.0, beam_size=1, max_new_tokens=16, word_timestamps=True
        )
        list(segments)
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        raise ModelBundleError(f"faster-whisper: it cannot use the bundle: {error}") from error


def load_engine(bundle_dir: Path, compute_type: str = "default") -> ctranslate2.models.Whisper:
    """Load converted weights on the CPU.

    Raises:
        ModelBundleError: CTranslate2 cannot read them.
    """
    try:
        return ctranslate2.models.Whisper(str(bundle_dir), device="cpu", compute_type=compute_type)
    except (RuntimeError, ValueError) as error:
        raise ModelBundleError(f"loading: CTranslate2 cannot load {bundle_dir}: {error}") from error
