"""The duration of plain PCM in a WAV file, read from its first bytes.

PCM needs no decoder that could hang or refuse, so the header and the file's size say all there is
to know. Anything else, or a header that does not fit the size, is for the probe (probe.py).
"""

import struct

from services.contract.schema import Seconds

# Format tags: PCM, IEEE float, and "see the sub-format", whose first two bytes are one of those.
_PCM_TAGS = {(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)}
_EXTENSIBLE = 0xFFFE
_MAX_CHANNELS = 32
_SAMPLE_RATES = range(1_000, 400_000)


def wav_duration(head: bytes, n_bytes: int) -> Seconds | None:
    """Return the duration of a well-formed PCM WAV file; None if this is not one.

    Args:
        head: the first bytes of the file, some thousand.
        n_bytes: size of the whole file.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_per_second = None
    position = 12
    while position + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, position)
        position += 8
        if name == b"fmt ":
            bytes_per_second = _bytes_per_second(head[position : position + size])
        elif name == b"data":
            fits = 0 < size <= n_bytes - position
            return size / bytes_per_second if fits and bytes_per_second else None
        position += size + size % 2
    return None


def _bytes_per_second(chunk: bytes) -> int | None:
    if len(chunk) < 16:
        return None
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    known = (tag, bits) in _PCM_TAGS and 0 < channels <= _MAX_CHANNELS and rate in _SAMPLE_RATES
    return rate * block if known and block == channels * bits // 8 else None
