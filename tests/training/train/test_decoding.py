"""Transcripts of dev clips while training."""

import pytest

from services.contract.encoder_context import FRAMES_PER_SECOND, text_room
from training.prepare.shards import PreparedCorpus
from training.train.config import ModelConfig, TrainConfig
from training.train.decoding import transcribe
from training.train.setup import prepare_setup


def test_a_model_that_babbles_gets_no_more_room_than_when_served(
    tiny_model: ModelConfig,
    tiny_run: TrainConfig,
    corpus: PreparedCorpus,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup = prepare_setup(tiny_model, tiny_run, corpus, seed=1)
    calls: list[object] = []
    setup.trainee.whisper.model.decoder.register_forward_hook(lambda *_: calls.append(None))
    clips = corpus.clips("dev")
    assert all(clip.duration_s < 1 for clip in clips)
    transcribe(setup.trainee, setup.speech, clips, len(clips), full=False)
    assert 0 < len(calls) <= text_room(2 * FRAMES_PER_SECOND)
    assert "transcribing dev clips, in batches: 1 of 1" in capsys.readouterr().err
