"""The names of files as text: what can be sent to the API and printed on one line."""

import os


def shown(name: str) -> str:
    """Return a file's name or path as printable text; the file itself keeps its own.

    A name that is not UTF-8 comes from an older system, where it was most likely Latin-1.
    """
    try:
        name.encode()
        text = name
    except UnicodeEncodeError:
        text = os.fsencode(name).decode("latin-1")
    return "".join(character if character.isprintable() else " " for character in text)
