"""The encoder at any length, and the parts of the loss."""

import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from training.train.trainee import ctc_loss, encode, guide_loss, spread_cross_entropy


@pytest.fixture(scope="module")
def whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        vocab_size=51865,
    )
    model = WhisperForConditionalGeneration(config)
    model.eval()
    return model


def test_full_context_equals_transformers(whisper: WhisperForConditionalGeneration) -> None:
    features = torch.randn(2, 80, 3000)
    with torch.no_grad():
        expected = whisper.model.encoder(features).last_hidden_state
        torch.testing.assert_close(encode(whisper, features), expected, atol=1e-5, rtol=1e-5)


def test_short_context_gives_one_state_per_two_frames(
    whisper: WhisperForConditionalGeneration,
) -> None:
    with torch.no_grad():
        assert encode(whisper, torch.randn(1, 80, 210)).shape == (1, 105, 16)


def test_ctc_loss_is_per_character_and_ignores_empty_texts() -> None:
    scores = torch.randn(2, 30, 5)
    one = ctc_loss(scores[:1], torch.tensor([1, 2, 3]), torch.tensor([3]))
    both = ctc_loss(scores, torch.tensor([1, 2, 3]), torch.tensor([3, 0]))
    alone = ctc_loss(scores[1:], torch.tensor([], dtype=torch.int64), torch.tensor([0]))
    torch.testing.assert_close(both, one + alone / 3)


def test_guide_loss_is_low_where_attention_is_at_the_right_time() -> None:
    attention = torch.zeros(1, 2, 2, 100)
    attention[0, 0, 0, 25] = 1.0  # the first token listens at 0.5 s
    attention[0, 1, 0, 75] = 1.0  # the second head is not guided
    times = torch.tensor([[0.5, -1.0]])
    assert guide_loss([attention], times, 1) < 0.01
    assert guide_loss([attention], torch.tensor([[1.5, -1.0]]), 1) > 0.99
    assert guide_loss([attention], torch.full((1, 2), -1.0), 1) == 0


def test_neighbouring_timestamps_cost_less_than_far_ones() -> None:
    target = torch.tensor([20])

    def loss_when_certain_of(token: int) -> float:
        logits = torch.zeros(1, 50)
        logits[0, token] = 10.0
        return float(spread_cross_entropy(logits, target, 10, 50, 2))

    exact, near, far = (loss_when_certain_of(token) for token in (20, 21, 30))
    assert exact < near < far


def test_spread_stays_within_the_timestamps() -> None:
    logits = torch.zeros(2, 50)
    logits[:, 9] = -100.0  # the token before the first timestamp must not be a target
    assert torch.isfinite(spread_cross_entropy(logits, torch.tensor([10, 49]), 10, 50, 3))
    assert spread_cross_entropy(logits, torch.tensor([10, 49]), 10, 50, 3) < 20
