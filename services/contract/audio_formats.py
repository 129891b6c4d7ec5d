"""Which containers may be opened: sound and video files, nothing that points elsewhere.

FFmpeg also reads playlists and scripts (HLS, DASH, concat) that name other files and addresses: an
upload of that kind would read the server's own disk or network. Both the probe of the API and
the decoder of the worker open files with these options.
"""

_FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts", "eac3",
    "flac", "flv", "gsm", "matroska", "mov", "mp3", "mpeg", "mpegts", "mpegvideo", "ogg", "rm",
    "tta", "voc", "w64", "wav", "wv",
)  # fmt: skip

#: Options for `av.open`: FFmpeg's own names.
OPEN_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
