"""Greedy decoding with short context, for the WER on dev clips while training.

Final figures come from `evaluate`, through CTranslate2; this one only ranks checkpoints.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from services.contract.encoder_context import text_room
from training.prepare.shards import Clip
from training.progress import track
from training.train.batches import Speech
from training.train.features import FULL_FRAMES, HOP_SAMPLES, log_mel
from training.train.trainee import Trainee, encode

_MARGIN_FRAMES = 30
_MAX_NEW_TOKENS = 200


@torch.no_grad()
def transcribe(
    trainee: Trainee, speech: Speech, clips: Sequence[Clip], batch_size: int, full: bool
) -> dict[str, str]:
    """Transcribe clips without timestamps.

    Args:
        full: pad to 30 s; else each batch ends shortly after its longest clip.
    Returns:
        text by clip id.
    """
    was_training = trainee.training
    trainee.eval()
    device = next(trainee.parameters()).device
    tokens = speech.vocabulary.tokens()
    texts: dict[str, str] = {}
    batches = list(_batches(clips, batch_size))
    for batch in track(batches, len(batches), "transcribing dev clips, in batches"):
        rows = _greedy(trainee, _features(speech, batch, full).to(device), _prompt(speech))
        for clip, ids in zip(batch, rows, strict=True):
            texts[clip.id] = speech.writer.decode([int(tokens[row]) for row in ids])
    trainee.train(was_training)
    return texts


def _batches(clips: Sequence[Clip], batch_size: int) -> Iterator[Sequence[Clip]]:
    ordered = sorted(clips, key=lambda clip: clip.duration_s)
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]


def _features(speech: Speech, clips: Sequence[Clip], full: bool) -> Tensor:
    mels = [
        log_mel(speech.corpus.samples(clip)[: FULL_FRAMES * HOP_SAMPLES], speech.n_mels)
        for clip in clips
    ]
    longest = max(mel.shape[1] for mel in mels)
    n_frames = FULL_FRAMES if full else min(FULL_FRAMES, longest + _MARGIN_FRAMES)
    n_frames -= n_frames % 2
    padded = [
        np.pad(mel[:, :n_frames], ((0, 0), (0, max(0, n_frames - mel.shape[1])))) for mel in mels
    ]
    return torch.from_numpy(np.stack(padded))


def _prompt(speech: Speech) -> list[int]:
    special = speech.writer.special
    return [
        speech.vocabulary.row(id_)
        for id_ in (special.start, special.language, special.task, special.no_timestamps)
    ]


def _greedy(trainee: Trainee, features: Tensor, prompt: list[int]) -> list[list[int]]:
    """Decode a batch, (n, n_mels, n_frames), to rows of the vocabulary, without the end."""
    encoded = encode(trainee.whisper, features)
    decoder: Any = trainee.whisper.model.decoder
    end = trainee.end_row
    inputs = torch.tensor([prompt] * len(features), device=features.device)
    ended = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    chosen: list[Tensor] = []
    cache = None
    # As served: what babbles, as any model does at first, ends where no one could have said more.
    for _ in range(min(_MAX_NEW_TOKENS, text_room(features.shape[2]))):
        output = decoder(
            inputs, encoder_hidden_states=encoded, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        best = trainee.logits(output.last_hidden_state[:, -1]).argmax(dim=-1)
        best = torch.where(ended, end, best)
        chosen.append(best)
        ended |= best == end
        if bool(ended.all()):
            break
        inputs = best[:, None]
    rows = torch.stack(chosen, dim=1).tolist()
    return [[row for row in line if row != end] for line in rows]
