"""Directories that are bundles as far as the contract can see; nothing in them can be loaded."""

import json
from datetime import UTC, datetime
from pathlib import Path

from services.contract.model_bundle import (
    BundleManifest,
    Evaluation,
    hash_files,
    write_manifest,
)

FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.json")
N_TOKENS, N_TOKENS_OF_ENGLISH = 51_865, 51_864


def make_plain(path: Path, content: str = "", *, n_tokens: int = N_TOKENS) -> Path:
    """Write the files of a plain faster-whisper directory."""
    path.mkdir(parents=True)
    for name in FILES:
        (path / name).write_text(f"{{}} {name} {content}")
    (path / "vocabulary.json").write_text(json.dumps([content, *["token"] * (n_tokens - 1)]))
    return path


def make_bundle(
    path: Path, name: str = "kb", version: str = "1", *, wer: float = 0.1, test_set: str = "a"
) -> Path:
    """Write a bundle with a manifest and one evaluation."""
    make_plain(path, f"{name} {version} {wer}")
    evaluation = Evaluation(
        test_set_name="test",
        test_set_sha256=test_set * 64,
        wer=wer + 0.1,
        wer_normalised=wer,
        cer=wer / 2,
        cer_normalised=wer / 2,
        n_clips=100,
        hours=0.1,
    )
    manifest = BundleManifest(
        name=name,
        version=version,
        base_model="openai/whisper-small",
        languages=("sv",),
        tasks=("transcribe",),
        files=hash_files(path, FILES),
        quantization="int8",
        evaluations=(evaluation,),
        made_at=datetime(2026, 1, 1, int(version) % 24, tzinfo=UTC),
    )
    write_manifest(path, manifest)
    return path
