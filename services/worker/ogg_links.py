"""Ogg files that are several, one behind the other, as programmes that record a radio write them.

FFmpeg goes from one link of such a chain to the next while codec and channels stay; the first link
that changes them is an error to it and the rest is not read. Here the rest is found by its first
page, and read as a file of its own. Source: RFC 3533, sections 4 and 6.
"""

import io
import re
from typing import BinaryIO

_BLOCK_BYTES = 1 << 16
#: Capture pattern, version 0, and the flag that a stream begins.
_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")
_HEADER_BYTES = 6


class Rest(io.RawIOBase):
    """A file from some byte on."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self.start = start
        file.seek(start)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the place counted from the start of the rest."""
        begin = self.start if whence == io.SEEK_SET else 0
        return self._file.seek(begin + offset, whence) - self.start

    def tell(self) -> int:
        """Return the place counted from the start of the rest."""
        return self._file.tell() - self.start


def next_link(file: BinaryIO, after: int) -> Rest | None:
    """Return what begins with the first link behind byte `after`, or None."""
    file.seek(after)
    position, data = after, b""
    while block := file.read(_BLOCK_BYTES):
        data += block
        found = _FIRST_PAGE.search(data)
        if found is not None:
            return Rest(file, position + found.start())
        position += max(0, len(data) - _HEADER_BYTES + 1)
        data = data[-_HEADER_BYTES + 1 :]
    return None
