"""How single values of forms and queries are read: case, spaces and empty values do not matter."""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.contract.schema import JobStatus, TranscriptFormat

#: Names of dots alone mean folders in addresses.
BATCH_NAME = r"^\.*[\w@:+ -][\w.@:+ -]*$"
MAX_BATCH_CHARS = 100


def lowered(given: object) -> object:
    """Return a text in lower case, without space around it."""
    return given.strip().lower() if isinstance(given, str) else given


def lowered_or(default: object) -> Callable[[object], object]:
    """Return what reads a text like `lowered`, and an empty one as not given."""
    return lambda given: lowered(given) or default


def one_form(name: object) -> object:
    """Return a name without space around it, its accents composed: a Mac types them apart."""
    return unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else name


def check_batch_name(name: str) -> str:
    """Refuse a name that cannot stand in an address or a file name."""
    if len(name) > MAX_BATCH_CHARS or not re.match(BATCH_NAME, name):
        raise PydanticCustomError(
            "batch_name",
            "use letters, digits, spaces and any of . _ - @ : +, at most {n}, and not dots alone",
            {"n": MAX_BATCH_CHARS},
        )
    return name


#: A batch's name that a new job brings.
NewBatch = Annotated[
    str,
    BeforeValidator(one_form),
    AfterValidator(check_batch_name),
    Field(json_schema_extra={"pattern": BATCH_NAME, "maxLength": MAX_BATCH_CHARS}),
]
#: One that something is looked for by; one that cannot exist is not found.
KnownBatch = Annotated[str, BeforeValidator(one_form)]
Status = Annotated[JobStatus | None, BeforeValidator(lowered_or(None))]
Cursor = Annotated[str | None, BeforeValidator(lambda given: given or None)]
Limit = Annotated[
    int, Field(ge=1, le=100, description="Jobs per page."), BeforeValidator(lowered_or(20))
]
YesNo = Annotated[bool, BeforeValidator(lowered_or(False))]
JsonFormat = Annotated[TranscriptFormat, BeforeValidator(lowered_or("json"))]
TextFormat = Annotated[TranscriptFormat, BeforeValidator(lowered_or("text"))]
