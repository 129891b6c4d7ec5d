"""A prepared corpus of a few seconds, written without the prepare stage; its sound is noise."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from training.prepare.manifest import MANIFEST_FILE, PreparedManifest, SplitEntry
from training.prepare.shards import SAMPLE_RATE, PreparedCorpus, ShardWriter

LEAD_S = 0.1


def write_corpus(
    folder: Path, splits: dict[str, Sequence[tuple[str, float, str]]]
) -> PreparedCorpus:
    """Write splits of (text, duration in seconds, domain)."""
    folder.mkdir(parents=True)
    shards, entries = [], {}
    for split, clips in splits.items():
        with ShardWriter(folder, f"{split}-00000", split) as writer:
            for number, (text, duration_s, domain) in enumerate(clips):
                writer.add(
                    _flac(number, duration_s), _facts(split, number, text, duration_s, domain)
                )
            shards.append(writer.close())
        hours = sum(duration_s for _, duration_s, _ in clips) / 3600
        digest = hashlib.sha256(repr(list(clips)).encode()).hexdigest()
        entries[split] = SplitEntry(n_clips=len(clips), hours=hours, sha256=digest)
    manifest = PreparedManifest(
        source="small",
        sample_rate_hz=SAMPLE_RATE,
        shards=tuple(shards),
        splits=entries,
        filters={},
        label_policy="none",
        settings={},
        plan_sha256="0" * 64,
        tools={},
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())
    return PreparedCorpus.open(folder)


def _flac(seed: int, duration_s: float) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 0.05, round(duration_s * SAMPLE_RATE))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _facts(split: str, number: int, text: str, duration_s: float, domain: str) -> dict[str, object]:
    return {
        "id": f"{split}-{number:03d}",
        "text": text,
        "duration_s": duration_s,
        "speaker": f"s{number % 3}",
        "domain": domain,
        "start_s": LEAD_S,
        "end_s": duration_s,
        "audio_sha256": hashlib.sha256(f"{split}{number}".encode()).hexdigest(),
    }
