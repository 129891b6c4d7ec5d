"""Chooses the cross-attention heads that word times are read from, by measured error.

Models of OpenAI come with such a list; a model from random weights needs its own. The measure is
the engine that serves: CTranslate2's `align` on clips whose word times are known.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from services.contract.encoder_context import context_frames
from services.contract.errors import DataError
from training.convert.weights import write_weights
from training.evaluate.word_times import TimedWord
from training.prepare.shards import Clip, PreparedCorpus
from training.train.features import log_mel
from training.train.labels import LabelWriter

Head = tuple[int, int]
"""Decoder layer and head."""

_MAX_HEADS = 4
_MEDIAN_FILTER_WIDTH = 7  # as faster-whisper aligns
_POSITIONS_PER_SECOND = 50
_WORST_S = 0.5  # one lost word must not decide


@dataclass(frozen=True)
class _Spoken:
    """A clip ready to align: its words by first token and true start."""

    encoded: Any
    n_frames: int
    tokens: list[int]
    first_tokens: list[int]
    starts_s: NDArray[np.float64]


def default_heads(n_layers: int, n_heads: int) -> list[Head]:
    """Return all heads of the last half of the decoder, what CTranslate2 takes without a list."""
    return [(layer, head) for layer in range(n_layers // 2, n_layers) for head in range(n_heads)]


def choose_alignment_heads(
    checkpoint: Path,
    corpus: PreparedCorpus,
    clips: Sequence[Clip],
    truth: dict[str, list[TimedWord]],
    writer: LabelWriter,
) -> tuple[list[Head], float]:
    """Take the best head, then add heads while the error falls.

    Args:
        checkpoint: an exported transformers folder.
        clips: those without true word times are passed over.
        truth: words as written, with true starts in seconds, by clip id.
        writer: of the run, so that the text is split as the model writes it.
    Returns:
        the heads, and the mean error of word starts in seconds that they reach.
    Raises:
        DataError: no clip has true word times.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "float32"
        write_weights(checkpoint, weights, "float32")
        spoken = _encode(weights, corpus, clips, truth, writer)
        if not spoken:
            raise DataError("no dev clip has word times; check the file of word times")
        shape = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        layers, heads = shape["decoder_layers"], shape["decoder_attention_heads"]
        left = [(layer, head) for layer in range(layers) for head in range(heads)]
        return _add_while_better(weights, spoken, left, writer)


def _add_while_better(
    weights: Path, spoken: list[_Spoken], left: list[Head], writer: LabelWriter
) -> tuple[list[Head], float]:
    chosen: list[Head] = []
    best_error = float("inf")
    while left and len(chosen) < _MAX_HEADS:
        errors = {head: _error(weights, spoken, [*chosen, head], writer) for head in left}
        head = min(errors, key=lambda candidate: errors[candidate])
        if errors[head] >= best_error:
            break
        best_error = errors[head]
        chosen.append(head)
        left = sorted(set(left) - {head}, key=lambda other: errors[other])[:_MAX_HEADS]
    return sorted(chosen), best_error


def _encode(
    weights: Path,
    corpus: PreparedCorpus,
    clips: Sequence[Clip],
    truth: dict[str, list[TimedWord]],
    writer: LabelWriter,
) -> list[_Spoken]:
    model = ctranslate2.models.Whisper(str(weights), device="cpu", compute_type="float32")
    spoken = []
    for clip in clips:
        words = clip.text.split()
        times = truth.get(clip.id, [])
        if not times or len(times) != len(words):
            continue
        tokens, first_tokens = _tokenise(words, writer)
        mel = log_mel(corpus.samples(clip), model.n_mels)
        n_frames = mel.shape[1]
        padding = context_frames(n_frames, short_context=True) - n_frames
        features = np.ascontiguousarray(np.pad(mel, ((0, 0), (0, padding))))[None]
        encoded = model.encode(ctranslate2.StorageView.from_array(features), to_cpu=True)
        starts_s = np.array([timed.start_s or 0.0 for timed in times])
        spoken.append(_Spoken(encoded, n_frames, tokens, first_tokens, starts_s))
    return spoken


def _tokenise(words: Sequence[str], writer: LabelWriter) -> tuple[list[int], list[int]]:
    """Return the tokens of a text and the index of each word's first token."""
    tokens: list[int] = []
    first_tokens: list[int] = []
    for word in words:
        first_tokens.append(len(tokens))
        tokens += writer.text_ids(word)[0]
    return tokens, first_tokens


def _error(weights: Path, spoken: list[_Spoken], heads: list[Head], writer: LabelWriter) -> float:
    """Return the mean error of word starts in seconds with these heads."""
    path = weights / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "alignment_heads": heads}), encoding="utf-8")
    model = ctranslate2.models.Whisper(str(weights), device="cpu", compute_type="float32")
    special = writer.special
    opening = [special.start, special.language, special.task]
    errors = [_clip_errors(model, clip, opening) for clip in spoken]
    return float(np.minimum(np.concatenate(errors), _WORST_S).mean())


def _clip_errors(model: Any, spoken: _Spoken, opening: list[int]) -> NDArray[np.float64]:
    """Align one clip as faster-whisper does and compare the starts of its words."""
    [result] = model.align(
        spoken.encoded,
        opening,
        [spoken.tokens],
        spoken.n_frames,
        median_filter_width=_MEDIAN_FILTER_WIDTH,
    )
    text_indices, time_indices = np.array(result.alignments).T
    jumps = np.pad(np.diff(text_indices), (1, 0), constant_values=1).astype(bool)
    starts_s = time_indices[jumps] / _POSITIONS_PER_SECOND
    found: NDArray[np.float64] = starts_s[spoken.first_tokens]
    return np.abs(found - spoken.starts_s)
