"""What may be evaluated: a bundle, a transformers checkpoint, a deployed name or a hub id."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import ModelBundle, file_sha256, read
from services.contract.model_registry import resolve
from training.convert.checkpoint import check_checkpoint
from training.convert.config import Quantization
from training.convert.weights import write_weights
from training.scratch import scratch_folder

_CHECKPOINT_MARKS = ("model.safetensors", "model.safetensors.index.json")


@contextmanager
def open_model(
    model: str,
    quantization: Quantization,
    scratch_dir: Path,
    *,
    models_dir: Path = Path("data/models"),
) -> Iterator[tuple[ModelBundle, str]]:
    """Make a model ready for CTranslate2, for as long as the context lasts.

    Args:
        model: path of a bundle or checkpoint, `demo`, deployed name, or hub id of either kind.
        quantization: how a checkpoint is converted.
        scratch_dir: existing folder with room for the converted weights; a container's /tmp, which
            is memory, may have none.
        models_dir: where deployed models are.
    Yields:
        the bundle and the sha256 of its weights; those of the checkpoint if it was one.
    Raises:
        ModelBundleError: there is no such model.
        CheckpointError, TokenizerError: a checkpoint lacks something.
    """
    checkpoint = _checkpoint(model, models_dir)
    if checkpoint is None:
        bundle = resolve(model, models_dir)
        yield bundle, file_sha256(bundle.path / "model.bin")
        return
    check_checkpoint(checkpoint)
    with scratch_folder(scratch_dir, ".converted-") as scratch:
        converted = scratch / checkpoint.resolve().name
        write_weights(checkpoint, converted, quantization)
        yield read(converted, plain_id=model), weights_sha256(checkpoint)


def weights_sha256(checkpoint: Path) -> str:
    """Identify a checkpoint by its weight files, so that results are not claimed for another."""
    digests = [file_sha256(path) for path in sorted(checkpoint.glob("model*.safetensors"))]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def _checkpoint(model: str, models_dir: Path) -> Path | None:
    path = Path(model).expanduser()
    if path.is_dir():
        return path if _is_checkpoint(path) else None
    try:
        resolve(model, models_dir)
    except ModelBundleError:
        return _download_checkpoint(model)
    return None


def _is_checkpoint(path: Path) -> bool:
    """A folder with both kinds of weights, as published, counts as the bundle that is served."""
    is_converted = (path / "model.bin").is_file()
    return not is_converted and any((path / mark).is_file() for mark in _CHECKPOINT_MARKS)


def _download_checkpoint(model: str) -> Path | None:
    """Fetch a transformers repository; None if the hub has none, so that the first error holds."""
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    repo, _, revision = model.partition("@")
    try:
        patterns = ["*.json", "model*.safetensors"]
        path = Path(
            huggingface_hub.snapshot_download(
                repo, revision=revision or None, allow_patterns=patterns
            )
        )
    except (OSError, HTTPError, ValueError):
        return None
    return path if _is_checkpoint(path) else None
