"""What an evaluation has decoded, on disk as it is made: after a break it goes on from there."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contract.errors import OutputError
from training.evaluate.config import Context
from training.evaluate.decoded import Decoded, Piece

logger = logging.getLogger(__name__)

_Key = tuple[str, str, float, Context]


class Entry(BaseModel):
    """One recording, or the rest of one, that was decoded once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    split: str
    clip: str
    start_s: float
    """Where in the clip it begins."""
    context: Context
    decoded: Decoded
    processing_s: float
    """Its part of the time that its batch took."""

    @classmethod
    def of(cls, piece: Piece, context: Context, decoded: Decoded, processing_s: float) -> Self:
        """Note what was found in a piece."""
        return cls(
            split=piece.clip.split,
            clip=piece.clip.id,
            start_s=piece.start_s,
            context=context,
            decoded=decoded,
            processing_s=processing_s,
        )

    @property
    def key(self) -> _Key:
        """What it is found by."""
        return self.split, self.clip, self.start_s, self.context


class Journal:
    """The entries of one evaluation; made by `open_journal`."""

    def __init__(self, file: FileIO, entries: Sequence[Entry]) -> None:
        self._file = file
        self._entries = {each.key: each for each in entries}

    def find(self, piece: Piece, context: Context) -> Entry | None:
        """Return what was found in a piece, if anything: by an earlier run, or for another context
        whose doubtful clips are read as this one's.
        """
        return self._entries.get((piece.clip.split, piece.clip.id, piece.start_s, context))

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep what was found.

        Raises:
            OutputError: it cannot be written.
        """
        lines = "".join(entry.model_dump_json() + "\n" for entry in entries)
        try:
            self._file.write(lines.encode())
        except OSError as error:
            raise _not_written(Path(str(self._file.name)), error) from error
        self._entries.update({each.key: each for each in entries})


@contextmanager
def open_journal(path: Path, work: Mapping[str, Any]) -> Iterator[Journal]:
    """Go on with what is at `path`, or begin anew if that is of other work.

    Args:
        path: in a folder that exists; the caller removes it when the work is done.
        work: whatever the transcripts depend on, as JSON.
    Raises:
        OutputError: it cannot be read or written.
    """
    header = json.dumps(work, sort_keys=True).encode() + b"\n"
    try:
        lines = _complete_lines(path)
        entries = _entries(lines[1:]) if lines[:1] == [header] else []
        # Without a buffer: what a full disk did not take must not be written again at the end.
        file = path.open("ab", buffering=0)
        file.truncate(sum(map(len, lines[: 1 + len(entries)])) if entries else 0)
        file.write(b"" if entries else header)
    except OSError as error:
        raise _not_written(path, error) from error
    if entries:
        logger.info("going on: %d transcripts were made by an earlier run", len(entries))
    with file:
        yield Journal(file, entries)


def _complete_lines(path: Path) -> list[bytes]:
    """Return the lines that were written to their end: a killed run may leave half of one."""
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _entries(lines: Sequence[bytes]) -> list[Entry]:
    """Read entries up to the first that is none, as a machine that lost power may leave."""
    entries: list[Entry] = []
    for line in lines:
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError:
            break
    return entries


def _not_written(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}; make room, then run it again")
