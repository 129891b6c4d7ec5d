"""How much the libraries of training may say: their bars and warnings hide what a run tells."""

import logging

import ctranslate2
from huggingface_hub.utils import enable_progress_bars  # type: ignore[attr-defined]
from transformers.utils.logging import disable_progress_bar


def keep_quiet() -> None:
    """Let them speak of errors, and of downloads, which take minutes, by the hub's bars.

    CTranslate2 warns whenever weights are computed in another type than they are stored in, as is
    usual on a processor.
    """
    disable_progress_bar()
    enable_progress_bars()  # the line above turns these off as well
    ctranslate2.set_log_level(logging.ERROR)
