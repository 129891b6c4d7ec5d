from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.contract.schema import TEMPERATURE_LADDER, Lane, TranscriptionOptions
from services.worker.decoding import WindowTask, ladder, run_batch
from services.worker.engine import Engine
from services.worker.prompts import build_prompt


def test_the_ladder_is_climbed_unless_a_temperature_is_fixed() -> None:
    assert ladder(TranscriptionOptions()) == TEMPERATURE_LADDER
    assert ladder(TranscriptionOptions(temperature=0.0)) == TEMPERATURE_LADDER
    assert ladder(TranscriptionOptions(temperature=0.3)) == (0.3,)


def test_control_tokens_are_never_text(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    forbidden = {tokenizer.sot, tokenizer.sot_prev, tokenizer.transcribe, tokenizer.translate}
    assert forbidden <= set(engine.model.suppressed_tokens)


def test_short_context_needs_a_bundle_that_allows_it(
    open_engine: Callable[[Path], Engine], tiny_bundle_dir: Path, short_bundle_dir: Path
) -> None:
    assert open_engine(short_bundle_dir).model.context_of(450) == 500
    assert open_engine(tiny_bundle_dir).model.context_of(450) == 3000


@pytest.mark.parametrize("n_words", [0, 60, 100])
def test_a_window_has_room_for_the_fastest_speech_whatever_its_prompt(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, n_words: int
) -> None:
    """A model that cannot end fills all the room that it is given."""
    endless = [*engine.model.suppressed_tokens, engine.model.tokenizer("sv").eot]
    monkeypatch.setattr(engine.model, "suppressed_tokens", endless)
    options = TranscriptionOptions(
        initial_prompt="hej " * n_words,
        beam_size=1,
        compression_ratio_threshold=None,
        log_prob_threshold=None,
    )
    task = WindowTask(
        job="job",
        lane=Lane.INTERACTIVE,
        options=options,
        features=engine.model.log_mel(np.zeros(5 * 16_000, np.float32)),
        n_frames=500,
        language="sv",
        prompt=build_prompt(engine.model, "sv", options),
    )
    context_s = task.key.context / 100
    assert task.key.prompt_length > n_words
    run_batch(engine.model, [task])
    n_tokens = len(task.future.result(0).attempt.tokens)
    assert 25 * context_s <= n_tokens <= 25 * context_s + 20, "25 tokens per second, and a few"


def test_windows_that_write_their_times_are_not_decoded_with_those_that_do_not(
    engine: Engine,
) -> None:
    """CTranslate2 looks at the first prompt only; so long a prompt would pass for the other."""
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    sound = np.zeros((80, 100), np.float32)
    prompts = [[*tokenizer.sot_sequence, tokenizer.no_timestamps], [1, *tokenizer.sot_sequence]]
    one, other = (
        WindowTask("", Lane.BULK, TranscriptionOptions(), sound, 100, "sv", prompt=prompt)
        for prompt in prompts
    )
    assert one.key.prompt_length == other.key.prompt_length and one.key != other.key
