"""Which clips of a corpus are decoded, and the hash by which results on them are comparable."""

import hashlib
from collections.abc import Sequence

from services.contract.errors import ConfigError
from training.prepare.shards import Clip, PreparedCorpus


def select_clips(corpus: PreparedCorpus, split: str, max_clips: int | None) -> list[Clip]:
    """Return the clips of a split, or some of them spread evenly over the ids.

    Raises:
        ConfigError: the corpus has no such split.
    """
    clips = corpus.clips(split)
    if not clips:
        known = ", ".join(corpus.manifest.splits) or "none"
        raise ConfigError(f"the corpus has no split {split!r}; it has {known}")
    if max_clips is None or len(clips) <= max_clips:
        return clips
    return [clips[i * len(clips) // max_clips] for i in range(max_clips)]


def identify_test_set(corpus: PreparedCorpus, clips: Sequence[Clip]) -> str:
    """Identify a test set: the split's own hash, or one over the clips taken from it."""
    entry = corpus.manifest.splits[clips[0].split]
    if len(clips) == entry.n_clips:
        return entry.sha256
    ids = "\n".join(clip.id for clip in clips)
    return hashlib.sha256(f"{entry.sha256}\n{ids}".encode()).hexdigest()
