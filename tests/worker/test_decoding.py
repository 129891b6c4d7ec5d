from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.contract.schema import TEMPERATURE_LADDER, Lane, TranscriptionOptions
from services.worker.decoding import WindowTask, ladder, run_batch
from services.worker.engine import Engine
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE
from tests.worker.window_tasks import CALM, Samples, clips, run, task


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


def test_a_suspicious_window_climbs_the_ladder_and_its_neighbour_does_not(
    babbling_engine: Engine, spoken: Samples
) -> None:
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    first, second = spoken[: 2 * SAMPLE_RATE], spoken[SAMPLE_RATE : 3 * SAMPLE_RATE]
    climbed, calm = run(
        babbling_engine, [task(babbling_engine, first, impossible), task(babbling_engine, second)]
    )
    assert climbed.n_attempts == 7, "once padded, then five more temperatures"
    assert climbed.is_suspicious
    assert calm.n_attempts == 1 and not calm.is_suspicious and calm.attempt.temperature == 0


def test_a_suspicious_window_is_padded_before_any_temperature(
    babbling_engine: Engine, spoken: Samples
) -> None:
    clip = spoken[: 2 * SAMPLE_RATE]
    (unpadded,) = run(babbling_engine, [task(babbling_engine, clip)])
    babbling_engine.model.short_context = False
    (full,) = run(babbling_engine, [task(babbling_engine, clip)])
    babbling_engine.model.short_context = True
    assert unpadded.attempt.tokens != full.attempt.tokens, "padding makes no difference here"
    between = (unpadded.attempt.avg_logprob + full.attempt.avg_logprob) / 2
    doubtful = CALM.model_copy(update={"log_prob_threshold": between})
    (decoded,) = run(babbling_engine, [task(babbling_engine, clip, doubtful)])
    assert decoded.attempt.tokens == full.attempt.tokens
    assert decoded.n_attempts == 2 and decoded.attempt.temperature == 0


def test_the_likeliest_attempt_is_kept_when_all_are_suspicious(
    babbling_engine: Engine, spoken: Samples
) -> None:
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    waiting = task(babbling_engine, spoken[: 2 * SAMPLE_RATE], impossible)
    (decoded,) = run(babbling_engine, [waiting])
    assert len(waiting.attempts) == 5, "all but the last, which ended it"
    assert decoded.attempt.avg_logprob >= max(a.avg_logprob for a in waiting.attempts)


def test_another_temperature_does_not_encode_again(
    babbling_engine: Engine, spoken: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_encoded = []
    encode = babbling_engine.model.encode
    monkeypatch.setattr(
        babbling_engine.model, "encode", lambda f: (n_encoded.append(len(f)), encode(f))[1]
    )
    impossible = CALM.model_copy(update={"log_prob_threshold": 0.0})
    run(babbling_engine, [task(babbling_engine, spoken[: 2 * SAMPLE_RATE], impossible)])
    assert n_encoded == [1, 1], "without padding and with it, not for each temperature"


def test_probable_silence_has_no_text(engine: Engine, spoken: Samples) -> None:
    options = CALM.model_copy(update={"no_speech_threshold": 0.0})
    (decoded,) = run(engine, [task(engine, spoken[: 2 * SAMPLE_RATE], options)])
    assert decoded.segments == []


def test_segments_end_within_their_window(babbling_engine: Engine, spoken: Samples) -> None:
    for clip in clips(spoken, [0.02, 0.3, 1.6, 2.56, 3.0]):
        (decoded,) = run(babbling_engine, [task(babbling_engine, clip)])
        for segment in decoded.segments:
            assert 0 <= segment.start <= segment.end <= len(clip) / SAMPLE_RATE + 0.01


def test_words_are_aligned_inside_their_segments(engine: Engine, spoken: Samples) -> None:
    options = CALM.model_copy(update={"word_timestamps": True})
    decoded = run(engine, [task(engine, clip, options) for clip in clips(spoken, [2.0, 3.0, 5.0])])
    for each in decoded:
        (segment,) = each.segments
        assert segment.words is not None
        assert "".join(word.word for word in segment.words) == segment.text
        starts = [word.start for word in segment.words]
        assert starts == sorted(starts)
        assert all(word.start <= word.end for word in segment.words)
