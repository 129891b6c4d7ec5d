from collections.abc import Callable
from pathlib import Path

import pytest

from services.contract.errors import PromptTooLongError
from services.contract.schema import TEMPERATURE_LADDER, TranscriptionOptions
from services.worker.decoding import MAX_PROMPT_TOKENS, build_prompt, compression_ratio, ladder
from services.worker.engine import Engine


def test_a_plain_prompt_is_start_language_task(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    prompt = build_prompt(engine.model, "sv", TranscriptionOptions())
    assert prompt == [tokenizer.sot, tokenizer.language, tokenizer.transcribe]


def test_prompt_and_hotwords_come_before_every_window(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    options = TranscriptionOptions(initial_prompt="Möte i Umeå.", hotwords="Björkö, Åsa")
    prompt = build_prompt(engine.model, "sv", options)
    assert prompt[0] == tokenizer.sot_prev
    before = tokenizer.decode(prompt[1 : prompt.index(tokenizer.sot)])
    assert before == " Björkö, Åsa Möte i Umeå."


def test_translation_asks_for_translation(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "translate")
    prompt = build_prompt(engine.model, "sv", TranscriptionOptions(task="translate"))
    assert prompt[-1] == tokenizer.translate


def test_a_prompt_over_the_budget_is_refused(engine: Engine) -> None:
    options = TranscriptionOptions(initial_prompt="hej " * 300)
    with pytest.raises(PromptTooLongError, match=str(MAX_PROMPT_TOKENS)):
        build_prompt(engine.model, "sv", options)


def test_the_ladder_is_climbed_unless_a_temperature_is_fixed() -> None:
    assert ladder(TranscriptionOptions()) == TEMPERATURE_LADDER
    assert ladder(TranscriptionOptions(temperature=0.0)) == TEMPERATURE_LADDER
    assert ladder(TranscriptionOptions(temperature=0.3)) == (0.3,)


def test_repetition_compresses_well() -> None:
    assert compression_ratio("hej hej hej hej hej hej hej hej hej hej") > 2
    assert compression_ratio("Klockan är tre.") < 1.2


def test_control_tokens_are_never_text(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    forbidden = {tokenizer.sot, tokenizer.sot_prev, tokenizer.transcribe, tokenizer.translate}
    assert forbidden <= set(engine.model.suppressed_tokens)


def test_short_context_needs_a_bundle_that_allows_it(
    open_engine: Callable[[Path], Engine], tiny_bundle_dir: Path, short_bundle_dir: Path
) -> None:
    assert open_engine(short_bundle_dir).model.context_of(450) == 500
    assert open_engine(tiny_bundle_dir).model.context_of(450) == 3000
