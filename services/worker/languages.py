"""Which language a window is in: given, the only one, or detected among candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.contract.errors import UnsupportedLanguageError, UnsupportedTaskError
from services.contract.schema import TranscriptionOptions
from services.worker.model import Model

#: A detection this certain needs no second window. Source: faster_whisper/transcribe.py.
CERTAIN = 0.5
#: Windows to look at before deciding by the sum of their probabilities.
MAX_LOOKS = 3


@dataclass(frozen=True)
class Language:
    """A language code and how probable it is."""

    code: str
    probability: float


#: ISO 639's code for a recording in which nobody speaks.
UNDETERMINED = Language("und", 0.0)


def known_language(model: Model, options: TranscriptionOptions) -> Language | None:
    """Return the language if nothing needs to be detected.

    Raises:
        UnsupportedLanguageError: the model does not know the language, or none of the candidates.
        UnsupportedTaskError: the model cannot do the task.
    """
    if options.task not in model.bundle.tasks:
        raise UnsupportedTaskError(
            f"{model.bundle.id} cannot {options.task}; it can: {', '.join(model.bundle.tasks)}",
            param="task",
        )
    if options.language is not None:
        _require(model, [options.language], "language")
        return Language(options.language, 1.0)
    candidates = candidate_languages(model, options)
    return Language(candidates[0], 1.0) if len(candidates) == 1 else None


def candidate_languages(model: Model, options: TranscriptionOptions) -> Sequence[str]:
    """Return the codes that detection may choose from."""
    if not options.languages:
        return model.languages
    _require(model, options.languages, "languages")
    return [code for code in options.languages if code in model.languages]


def _require(model: Model, wanted: Sequence[str], param: str) -> None:
    if not any(code in model.languages for code in wanted):
        raise UnsupportedLanguageError(
            f"{model.bundle.id} does not know {', '.join(wanted)}; "
            f"it knows: {', '.join(model.languages)}",
            param=param,
        )


def choose(found: Sequence[Mapping[str, float]], candidates: Sequence[str]) -> Language:
    """Return the candidate with the highest mean probability over the windows looked at."""
    means = {
        code: sum(probabilities.get(code, 0.0) for probabilities in found) / len(found)
        for code in candidates
    }
    best = max(means, key=lambda code: means[code])
    return Language(best, min(1.0, means[best]))
