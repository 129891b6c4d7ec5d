"""Writes the files that CTranslate2 and faster-whisper open."""

import json
import logging
import shutil
from pathlib import Path

from services.contract.errors import ModelBundleError
from training.convert.config import Quantization
from training.storage import machine_fault

_COPIED_FILES = ("generation_config.json", "preprocessor_config.json")


def write_weights(checkpoint: Path, out_dir: Path, quantization: Quantization) -> None:
    """Convert a transformers Whisper and copy what belongs to it.

    Args:
        checkpoint: a checked transformers folder.
        out_dir: directory to write, replaced if it exists.
        quantization: type of the stored weights.
    Raises:
        ModelBundleError: CTranslate2 cannot convert the model, or there is no room for it.
    """
    from ctranslate2.converters import TransformersConverter

    # Loading warns that weights tied to the embedding are not in the file, which is how it is.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        converter = TransformersConverter(str(checkpoint))
        converter.convert(str(out_dir), quantization=quantization, force=True)
    except (OSError, RuntimeError, ValueError, KeyError, NotImplementedError) as error:
        if isinstance(error, OSError) and (fault := machine_fault(error)):
            raise ModelBundleError(f"conversion: {out_dir}: {fault}") from error
        raise ModelBundleError(f"conversion: CTranslate2 refuses {checkpoint}: {error}") from error
    for name in _COPIED_FILES:
        shutil.copyfile(checkpoint / name, out_dir / name)
    write_compact_json(checkpoint / "tokenizer.json", out_dir / "tokenizer.json")


def write_compact_json(source: Path, target: Path) -> None:
    """Copy a JSON file without its indentation; a tokenizer shrinks to half."""
    content = json.loads(source.read_text(encoding="utf-8"))
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    target.write_text(text, encoding="utf-8")
