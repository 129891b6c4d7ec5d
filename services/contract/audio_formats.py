"""Which containers may be opened, and what of them is decoded: sound, within bounds.

FFmpeg also reads playlists and scripts (HLS, DASH, concat) that name other files and addresses: an
upload of that kind would read the server's own disk or network. And it looks at the pictures of a
file when it opens it: a cover of 100 bytes may say that it is a gigabyte. Both the probe of the
API and the decoder of the worker open files with `open_audio`, so that they see the same.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dss", "dts",
    "eac3", "flac", "flv", "gsm", "loas", "matroska", "mov", "mp3", "mpeg", "mpegts", "mpegvideo",
    "mxf", "nistsphere", "ogg", "rm", "tta", "voc", "w64", "wav", "wv",
)  # fmt: skip

Source = str | BinaryIO | io.RawIOBase

#: Samples that a packet may become, over all channels: 5 minutes of stereo at 48 kHz. No encoder
#: makes such ones, and a few kilobytes can say that they are gigabytes.
MAX_PACKET_SAMPLES = 32_000_000


def _audio_decoders() -> Iterator[str]:
    for name in sorted(av.codecs_available):
        with suppress(ValueError):  # One that only encodes.
            if av.Codec(name, "r").type == "audio":
                yield name


#: FFmpeg's own names.
_OPEN_OPTIONS = {
    "format_whitelist": ",".join(_FORMATS),
    "protocol_whitelist": "file",
    "codec_whitelist": ",".join(_audio_decoders()),
}


def open_audio(source: Source) -> InputContainer:
    """Open a recording; no picture in it is decoded.

    What calls itself WAV is read as that: of plain WAV the API believes the header (wav_header.py),
    and FFmpeg may see another container in the same bytes.

    Args:
        source: path, or a seekable binary file.
    Raises:
        av.error.FFmpegError, ValueError: FFmpeg cannot open it.
    """
    head = _head(source)
    is_wav = head[:4] == b"RIFF" and head[8:] == b"WAVE"
    container = av.open(
        source, format="wav" if is_wav else None, options=_OPEN_OPTIONS, metadata_errors="ignore"
    )
    assert isinstance(container, InputContainer)
    return container


def _head(source: Source) -> bytes:
    if isinstance(source, str):
        with suppress(OSError), open(source, "rb") as file:  # FFmpeg says what is wrong.
            return file.read(12)
        return b""
    head = source.read(12) or b""
    source.seek(0)
    return head


def best_stream(container: InputContainer) -> AudioStream | None:
    """Return the track that a player would choose: the one that the file calls its default."""
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        return None
    stream.codec_context.options = {"max_samples": str(MAX_PACKET_SAMPLES)}
    return stream


#: Containers that stamp each packet with its time, and how long a gap between two stamps may be
#: for a player to be silent meanwhile. A clock that jumps further was set anew, as happens often in
#: streams: theirs is FFmpeg's own dts_delta_threshold. Others have no clock: FFmpeg makes up the
#: times of AVI from a rate, which need not be that of the sound.
_LONGEST_GAP_S = {
    "matroska": 3600.0, "mov": 3600.0, "asf": 10.0, "flv": 10.0, "mpeg": 10.0, "mpegts": 10.0,
    "ogg": 10.0,
}  # fmt: skip


def longest_gap_s(format_name: str) -> float:
    """Return how long silence between two packets may be, by FFmpeg's name of the container."""
    return _LONGEST_GAP_S.get(format_name.partition(",")[0], 0.0)


def is_pause(codec_name: str, n_bytes: int) -> bool:
    """Return whether a packet stands for a pause, which FFmpeg's decoders call an error.

    Phones that record AMR save bits: where nobody speaks they describe the noise in 6 bytes, or
    send nothing in one. The shortest packet with speech has 13. Source: RFC 4867, section 5.3.
    """
    return codec_name in ("amrnb", "amrwb") and 0 < n_bytes <= 6
