"""`whisper-sv key`: a new API key, and the entry by which the API recognises it."""

import hashlib
import re
import secrets
from typing import Annotated

import typer

from services.contract.errors import InvalidRequestError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is; jobs belong to this name.")] = "me",
) -> None:
    """Make an API key. The service keeps only its hash: what is printed here is shown once."""
    if not _NAME.fullmatch(name):
        raise InvalidRequestError("A key's name has 1 to 64 letters, digits, dots, - and _")
    secret, entry = make_key(name)
    typer.echo(f"Key, for the caller (STT_API_KEY):      {secret}")
    typer.echo(f"Entry, for the service (STT_API_KEYS):  {entry}")
    typer.echo(
        "Several entries are separated by commas; restart the API to take them in.", err=True
    )


def make_key(name: str) -> tuple[str, str]:
    """Return a new secret with 256 random bits, and its `name:sha256` entry."""
    secret = "stt_" + secrets.token_urlsafe(32)
    return secret, f"{name}:{hashlib.sha256(secret.encode()).hexdigest()}"
