"""Models with known behaviour, and the sentences that the tests speak."""

import json
from pathlib import Path
from typing import Any

import ctranslate2
import torch
from transformers import WhisperForConditionalGeneration

from tests.tiny_model import SENTENCE, tiny_checkpoint

__all__ = ["SENTENCE", "SENTENCES", "babbling_bundle", "edit_manifest"]

SENTENCES = (
    "Hej och välkommen till provet.",
    "Klockan är tre och det regnar i Göteborg.",
    "Nu kommer en längre mening som fortsätter och fortsätter utan att säga något alls.",
    "Ja.",
    "Tolv hundra trettiofyra.",
)


def edit_manifest(path: Path, **changes: Any) -> None:
    """Change fields of a bundle's manifest."""
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


def babbling_bundle(path: Path) -> Path:
    """Convert a model of random weights that listens hard; `path` must not exist."""
    checkpoint = tiny_checkpoint(path.parent / "checkpoint")
    model = WhisperForConditionalGeneration.from_pretrained(checkpoint)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.12)
        model.model.decoder.layers[-1].fc2.bias.zero_()
        for layer in model.model.decoder.layers:
            layer.encoder_attn.out_proj.weight.mul_(8)
            layer.encoder_attn.q_proj.weight.mul_(4)
    model.save_pretrained(checkpoint)
    converter = ctranslate2.converters.TransformersConverter(
        str(checkpoint), copy_files=["tokenizer.json", "preprocessor_config.json"]
    )
    converter.convert(str(path), quantization="float32")
    return path
