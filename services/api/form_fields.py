"""From the names and texts of a form (or query) to one value per field.

Liberal, since clients differ: `name`, `name[]`, `name[0]` and `name[sub]` are read, lists may also
be JSON or separated by commas, and an empty value means "not given".
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from services.contract.errors import InvalidOptionsError

Pairs = Iterable[tuple[str, str]]
_NAME = re.compile(r"^(?P<base>[^\[\]]+)(\[(?P<sub>[^\[\]]*)\])?$")


def gather(pairs: Pairs, list_fields: Collection[str]) -> dict[str, Any]:
    """Return one value per field: a text, a list of texts, or a mapping for `name[sub]`.

    Args:
        pairs: names and values in the order they were sent; the last one wins.
        list_fields: fields whose value is a list.
    """
    fields: dict[str, Any] = {}
    for name, value in pairs:
        base, sub = split_name(name)
        if not value.strip():
            continue
        if sub and not (base in list_fields and sub.isdigit()):
            inner = fields.get(base)
            fields[base] = {**(inner if isinstance(inner, dict) else {}), sub: value}
        elif base in list_fields:
            fields[base] = [*fields.get(base, []), *_items(base, value)]
        else:
            fields[base] = value
    return fields


def split_name(name: str) -> tuple[str, str]:
    """Return the name without brackets, and what stood in them."""
    match = _NAME.match(name)
    return (match["base"], match["sub"] or "") if match else (name, "")


def flatten(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a JSON object as a form would carry them."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in document.items()
        if value is not None
    ]


def read_json(text: str | bytes) -> Any:
    """Read JSON whose texts are Unicode: half a surrogate pair, which JSON can escape, is none.

    Raises:
        ValueError: it is not such JSON, or nested too deeply to be options.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def json_object(field: str, value: object) -> Mapping[str, Any]:
    """Return a field's value that is an object: already a mapping, or one as JSON text."""
    if isinstance(value, str):
        try:
            value = read_json(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping):
        raise InvalidOptionsError(f"{field} must be an object.", param=field)
    return value


def _items(field: str, value: str) -> list[str]:
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        items = read_json(value)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidOptionsError(f"{field} must be a list of texts.", param=field)
    return items
