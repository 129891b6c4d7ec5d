"""The peer that serving is measured against: faster-whisper, as its README loads a model."""

from pathlib import Path

from faster_whisper import WhisperModel


def peer_model(bundle: Path, device: str = "cpu") -> WhisperModel:
    """Load a bundle's weights in the type that our engine computes in on that device."""
    compute_type = "float16" if device == "cuda" else "int8"
    return WhisperModel(str(bundle), device=device, compute_type=compute_type)
