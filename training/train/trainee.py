"""The model in training: Whisper with an encoder that takes any length, and the two losses."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperForConditionalGeneration

from training.train.labels import IGNORE_INDEX

POSITIONS_PER_SECOND = 50
GUIDE_WIDTH_S = 0.12  # about the length of a short token, and the error of its time


class Trainee(nn.Module):
    """Whisper, a CTC head that only training uses, and the loss.

    Args:
        whisper: its vocabulary may be compact.
        ctc_head: characters from encoder states; None for no CTC loss.
        ctc_weight: of the CTC loss beside the cross-entropy, which has weight 1.
        logit_bias: added to the logits, shape (n_rows,).
        timestamp_rows: first row of the timestamp tokens and one past the last.
        timestamp_smoothing: steps on both sides over which the target of a timestamp spreads.
        label_smoothing: of all other targets.
        guide_weight: of the loss that draws attention to where a token is spoken; 0 for none.
        guide_heads: how many heads of each decoder layer that loss is for.
    """

    def __init__(
        self,
        whisper: WhisperForConditionalGeneration,
        *,
        ctc_head: nn.Linear | None,
        ctc_weight: float,
        logit_bias: Tensor | None,
        timestamp_rows: tuple[int, int],
        timestamp_smoothing: int,
        label_smoothing: float,
        guide_weight: float,
        guide_heads: int,
    ) -> None:
        super().__init__()
        self.whisper = whisper
        self.ctc_head = ctc_head
        self._ctc_weight = ctc_weight
        self._timestamp_rows = timestamp_rows
        self._timestamp_smoothing = timestamp_smoothing
        self._label_smoothing = label_smoothing
        self._guide_weight = guide_weight
        self._guide_heads = guide_heads
        self.end_row = int(str(whisper.config.eos_token_id))
        self.logit_bias: Tensor | None
        self.register_buffer("logit_bias", logit_bias, persistent=False)

    def forward(
        self,
        input_features: Tensor,
        decoder_input_ids: Tensor,
        labels: Tensor,
        times: Tensor,
        ctc_targets: Tensor,
        ctc_lengths: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch; shapes as `BatchDataset` gives them.

        Returns:
            `loss` to minimise, and its parts `cross_entropy`, `ctc` and `guide`, means, shape ().
        """
        encoded = encode(self.whisper, input_features)
        decoder: Any = self.whisper.model.decoder
        decoded = decoder(
            decoder_input_ids,
            encoder_hidden_states=encoded,
            use_cache=False,
            output_attentions=self._guide_weight > 0,
        )
        wanted = labels != IGNORE_INDEX
        logits = self.logits(decoded.last_hidden_state[wanted])
        loss = self._cross_entropy(logits, labels[wanted])
        parts = {"cross_entropy": loss.detach()}
        if self.ctc_head is not None:
            ctc = ctc_loss(self.ctc_head(encoded), ctc_targets, ctc_lengths)
            parts["ctc"] = ctc.detach()
            loss = loss + self._ctc_weight * ctc
        if self._guide_weight > 0:
            guide = guide_loss(decoded.cross_attentions, times, self._guide_heads)
            parts["guide"] = guide.detach()
            loss = loss + self._guide_weight * guide
        return {"loss": loss, **parts}

    def logits(self, states: Tensor) -> Tensor:
        """Score decoder states, (n, d_model) to (n, n_rows), in float32."""
        scores: Tensor = self.whisper.proj_out(states).float()
        return scores if self.logit_bias is None else scores + self.logit_bias

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        first, last = self._timestamp_rows
        if self._timestamp_smoothing == 0:
            return functional.cross_entropy(logits, targets, label_smoothing=self._label_smoothing)
        timed = (targets >= first) & (targets < last)
        plain = functional.cross_entropy(
            logits[~timed], targets[~timed], label_smoothing=self._label_smoothing, reduction="sum"
        )
        spread = spread_cross_entropy(
            logits[timed], targets[timed], first, last, self._timestamp_smoothing
        )
        return (plain + spread) / len(targets)


def encode(whisper: WhisperForConditionalGeneration, input_features: Tensor) -> Tensor:
    """Run the encoder on any number of frames; transformers' own takes 3000 only.

    Args:
        input_features: log-mel, shape (n, n_mels, n_frames), n_frames even and at most 3000.
    Returns:
        shape (n, n_frames / 2, d_model).
    Source: WhisperEncoder.forward of transformers 5; short inputs take the first positions, as
    CTranslate2 does.
    """
    encoder: Any = whisper.model.encoder
    states = functional.gelu(encoder.conv1(input_features))
    states = functional.gelu(encoder.conv2(states)).permute(0, 2, 1)
    states = states + encoder.embed_positions.weight[: states.shape[1]]
    states = functional.dropout(states, p=encoder.dropout, training=encoder.training)
    for layer in encoder.layers:
        states = layer(states, None)
    normed: Tensor = encoder.layer_norm(states)
    return normed


def ctc_loss(scores: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Mean CTC loss per character; index 0 is the blank.

    Args:
        scores: shape (n, n_positions, n_characters + 1).
        targets: all characters in a row, shape (sum of lengths,).
        lengths: shape (n,).
    """
    log_probs = scores.float().log_softmax(dim=-1).transpose(0, 1)
    n_positions = torch.full_like(lengths, scores.shape[1])
    losses = functional.ctc_loss(
        log_probs, targets, n_positions, lengths, reduction="sum", zero_infinity=True
    )
    return losses / lengths.sum().clamp(min=1)


def guide_loss(attentions: Sequence[Tensor], times: Tensor, n_heads: int) -> Tensor:
    """Return the mean share of attention that lies away from where a token is spoken.

    Args:
        attentions: per layer, shape (n, n_all_heads, n_tokens, n_positions).
        times: seconds, shape (n, n_tokens); negative where nothing is spoken.
        n_heads: the first ones of each layer are guided.
    Source: Tachibana et al. 2017, guided attention, with times instead of a diagonal.
    """
    spoken = times >= 0
    positions = torch.arange(attentions[0].shape[-1], device=times.device) / POSITIONS_PER_SECOND
    distance = (positions - times[spoken][:, None]) / GUIDE_WIDTH_S
    penalty = 1 - torch.exp(-0.5 * distance**2)
    guided = torch.stack([layer[:, :n_heads] for layer in attentions]).float()
    away = (guided.permute(0, 2, 1, 3, 4).flatten(0, 1)[:, spoken] * penalty).sum(dim=-1)
    return away.sum() / max(1, away.numel())


def spread_cross_entropy(
    logits: Tensor, targets: Tensor, first: int, last: int, width: int
) -> Tensor:
    """Sum cross-entropies to timestamps whose weight spreads over their neighbours.

    Neighbours of a timestamp are nearly right, and without this each of 1501 times would be learnt
    alone.
    """
    log_probs = logits.log_softmax(dim=-1)
    offsets = torch.arange(-width, width + 1, device=logits.device)
    weights = (width + 1 - offsets.abs()).float()
    neighbours = (targets[:, None] + offsets).clamp(first, last - 1)
    return -(log_probs.gather(1, neighbours) * (weights / weights.sum())).sum()
