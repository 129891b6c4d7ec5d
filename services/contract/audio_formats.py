"""Which containers may be opened: sound and video files, nothing that points elsewhere.

FFmpeg also reads playlists and scripts (HLS, DASH, concat) that name other files and addresses: an
upload of that kind would read the server's own disk or network. Both the probe of the API and
the decoder of the worker open files with these options.
"""

_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dss", "dts",
    "eac3", "flac", "flv", "gsm", "loas", "matroska", "mov", "mp3", "mpeg", "mpegts", "mpegvideo",
    "mxf", "nistsphere", "ogg", "rm", "tta", "voc", "w64", "wav", "wv",
)  # fmt: skip

#: Options for `av.open`: FFmpeg's own names.
OPEN_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}

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
