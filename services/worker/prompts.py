"""What a model is given before a window's text."""

from services.contract.errors import PromptTooLongError
from services.contract.schema import TranscriptionOptions
from services.worker.model import MAX_TOKENS, Model

#: Room that the prompt leaves for text. Source: openai/whisper decoding.py, n_ctx // 2 - 1.
MAX_PROMPT_TOKENS = MAX_TOKENS // 2 - 1


def build_prompt(model: Model, language: str, options: TranscriptionOptions) -> list[int]:
    """Return the tokens that come before a window's text: hotwords, initial prompt, controls.

    A transcript is read without timestamp tokens: it is better so, and faster (docs/architecture.md
    has the figures). When its words were said is found out afterwards, by alignment.

    Raises:
        PromptTooLongError: hotwords and initial prompt leave no room for the text.
    """
    tokenizer = model.tokenizer(language, options.task)
    context: list[int] = []
    for text in (options.hotwords, options.initial_prompt):
        if text and text.strip():
            context += tokenizer.encode(" " + text.strip())
    if len(context) > MAX_PROMPT_TOKENS:
        raise PromptTooLongError(
            f"prompt and keywords are {len(context)} tokens, "
            f"the model takes at most {MAX_PROMPT_TOKENS}; shorten them",
            param="prompt",
        )
    start = [tokenizer.sot_prev, *context] if context else []
    times = [] if writes_times(model, options) else [tokenizer.no_timestamps]
    return [*start, *tokenizer.sot_sequence, *times]


def writes_times(model: Model, options: TranscriptionOptions) -> bool:
    """Whether timestamp tokens must say when something was said: a translation's words are not in
    the order of the speech, and some models come without the heads that align.
    """
    return options.task == "translate" or not model.can_align
