"""Says in one line what is wrong with a config, and which key was probably meant."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_UNKNOWN = "extra_forbidden"


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[str, str | None]:
    """Describe the first problem; an unknown key comes first: often it is a missing one misspelt.

    Args:
        error: what validating the config gave.
        model: of the whole config.
    Returns:
        the problem, and the key that it is about, None for the config as a whole.
    """
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != _UNKNOWN)
    where = ".".join(str(part) for part in problems[0]["loc"])
    return f"{where or 'config'}: {_reason(problems[0], model)}", where or None


def _reason(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    if problem["type"] == "string_type" and isinstance(problem["input"], bool):  # Norwegian
        return 'YAML reads no, yes, on and off as false and true; put quotes around it: "no"'
    if problem["type"] != _UNKNOWN:
        return str(problem["msg"])
    *parents, key = problem["loc"]
    known = _keys(model, parents)
    near = difflib.get_close_matches(str(key), known, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"no such key; {advice}"


def _keys(model: type[BaseModel], parents: Sequence[str | int]) -> list[str]:
    """List the keys of a section, found by the path to it."""
    for parent in parents:
        annotation = model.model_fields[str(parent)].annotation
        kinds = [kind for kind in (annotation, *get_args(annotation)) if inspect.isclass(kind)]
        model = next(kind for kind in kinds if issubclass(kind, BaseModel))
    return list(model.model_fields)
