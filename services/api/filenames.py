"""What may be shown of the names that clients give their files."""

import re
import unicodedata

MAX_FILENAME_CHARS = 200
#: Categories of characters that end a line, steer a terminal, turn text round or show nothing.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
#: ".wav" or ".mp3"; not what follows the dot of a time or a date. The page has the same.
_ENDING = re.compile(r"\.(?=\d*[a-z])[a-z\d]{1,5}$", re.IGNORECASE | re.ASCII)
#: What Windows takes in no name.
_NO_FILE = re.compile(r'[<>:"|?*]')


def clean_filename(name: str) -> str:
    """Return what may be shown of a client's file name: no folders, no control characters.

    Nothing in the audio store is ever named by it.
    """
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(c for c in last if unicodedata.category(c) not in UNSEEN)
    visible = visible.strip().lstrip(".")
    stem, dot, suffix = visible.rpartition(".")
    if len(visible) <= MAX_FILENAME_CHARS or len(suffix) > 10:
        return visible[:MAX_FILENAME_CHARS]
    return stem[: MAX_FILENAME_CHARS - len(dot + suffix)] + dot + suffix


def stem_of(filename: str) -> str:
    """Return a file's name without its ending."""
    return _ENDING.sub("", filename)


def storable(name: str) -> str:
    """Return a clean name as every system can keep it, in plain sight."""
    return _NO_FILE.sub("-", name).lstrip(".")
