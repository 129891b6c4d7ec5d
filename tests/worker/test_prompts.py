"""What a model is given before a window's text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.contract.errors import PromptTooLongError
from services.contract.schema import TranscriptionOptions
from services.worker.engine import Engine
from services.worker.prompts import MAX_PROMPT_TOKENS, build_prompt


def test_a_transcript_is_read_without_timestamps(engine: Engine) -> None:
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    prompt = build_prompt(engine.model, "sv", TranscriptionOptions())
    controls = [tokenizer.sot, tokenizer.language, tokenizer.transcribe, tokenizer.no_timestamps]
    assert prompt == controls


def test_a_model_that_cannot_align_writes_the_times_itself(
    open_engine: Callable[[Path], Engine], short_bundle_dir: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(short_bundle_dir, plain)
    (plain / "manifest.json").unlink()
    config = json.loads((plain / "config.json").read_text())
    del config["alignment_heads"]
    (plain / "config.json").write_text(json.dumps(config))
    model = open_engine(plain).model
    assert build_prompt(model, "sv", TranscriptionOptions())[-1] == model.tokenizer("sv").transcribe


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
