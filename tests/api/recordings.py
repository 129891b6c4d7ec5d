"""Recordings in real codecs and containers, made with PyAV, and broken ones made from them."""

import io
import struct
from fractions import Fraction

import av
import numpy as np

RATE = 48_000


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    """A quiet tone, float32 in [-1, 1], shape (n_samples,)."""
    return (0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype("f4")


def wav(seconds: float = 1.0, *, rate: int = 16_000, channels: int = 1, kind: str = "s16") -> bytes:
    """A WAV file; kind is s16, s24, f32 or f64."""
    samples = np.repeat(tone(seconds, rate)[:, None], channels, axis=1)
    tag, bits, data = {
        "s16": (1, 16, (samples * 32767).astype("<i2").tobytes()),
        "f32": (3, 32, samples.astype("<f4").tobytes()),
        "f64": (3, 64, samples.astype("<f8").tobytes()),
    }[kind]
    return _riff(tag, channels, rate, bits, data)


def float_wav(samples: np.ndarray, rate: int) -> bytes:
    """A mono WAV file of float32 samples as they are."""
    return _riff(3, 1, rate, 32, samples.astype("<f4").tobytes())


def _riff(tag: int, channels: int, rate: int, bits: int, data: bytes) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


#: suffix -> (container, codec, sample rate)
CODECS = {
    "flac": ("flac", "flac", 48_000),
    "mp3": ("mp3", "mp3", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "ogg": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "mp4": ("mp4", "aac", 44_100),
    "flv": ("flv", "mp3", 44_100),
    "mka": ("matroska", "pcm_s16le", 48_000),
    "loas": ("latm", "aac", 44_100),
}


def encoded(suffix: str, seconds: float = 1.0, *, video: bool = False, audio: bool = True) -> bytes:
    """A recording in one of CODECS, with a picture track if asked for."""
    container, codec, rate = CODECS[suffix]
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        picture = output.add_stream("mpeg4", rate=10) if video else None
        sound = output.add_stream(codec, rate=rate, layout="mono") if audio else None
        if picture is not None:
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            for index in range(round(seconds * 10)):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), "u1"), format="rgb24")
                frame.pts = index
                output.mux(picture.encode(frame))
            output.mux(picture.encode())
        if sound is not None:
            _encode_sound(output, sound, tone(seconds, rate), rate)
    return target.getvalue()


def _encode_sound(output: object, stream: object, samples: np.ndarray, rate: int) -> None:
    layout = "mono"
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = 0
    resampler = av.AudioResampler(
        format=stream.format.name, layout=layout, rate=rate, frame_size=stream.frame_size or 1024
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(part))
    output.mux(stream.encode(None))


class _Pipe(io.RawIOBase):
    """What MediaRecorder writes to: nothing is ever patched afterwards."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def browser_webm(seconds: float = 1.0) -> bytes:
    """WebM/Opus as a browser records it: written as a stream, without a duration."""
    pipe = _Pipe()
    with av.open(pipe, "w", format="webm", options={"live": "1"}) as output:
        stream = output.add_stream("libopus", rate=48_000, layout="mono")
        _encode_sound(output, stream, tone(seconds), 48_000)
    return bytes(pipe.data)


def stream_at(start_s: float, seconds: float) -> bytes:
    """An MPEG transport stream whose clock begins at a time: two in a row have a jump between."""
    return _begun_at(start_s, seconds, "mpegts")


def cut_film(seconds: float, begins_s: float) -> bytes:
    """MP4 whose first samples lie before its time 0: its edit list leaves them out."""
    return _begun_at(begins_s, seconds, "mp4")


def _begun_at(start_s: float, seconds: float, container: str) -> bytes:
    target = io.BytesIO()
    offset = {"output_ts_offset": str(start_s)}
    with av.open(target, "w", format=container, container_options=offset) as output:
        stream = output.add_stream("aac", rate=44_100, layout="mono")
        _encode_sound(output, stream, tone(seconds, 44_100), 44_100)
    return target.getvalue()


def flv_with_a_late_picture(seconds: float = 1.0) -> bytes:
    """FLV as a broadcast is recorded whose camera is turned on after minutes of sound."""
    body = encoded("flv", seconds)
    picture = b"\x12" + bytes(20)
    tag = b"\x09" + len(picture).to_bytes(3, "big") + round(seconds * 1000).to_bytes(3, "big")
    tag += bytes(4) + picture
    return body + tag + len(tag).to_bytes(4, "big")


def amr_with_pauses(*, wide: bool = False) -> bytes:
    """As phones write it: 2 s of pause, 1 s of noise, 38 s of pause, 1 s of noise."""
    if wide:
        header, speech = b"#!AMR-WB\n", b"\x14" + bytes(range(32))
        noise_of_pause = b"\x4c" + bytes(5)
    else:
        header, speech = b"#!AMR\n", b"\x3c" + bytes(range(31))
        noise_of_pause = b"\x44" + bytes(5)
    pause = noise_of_pause + 7 * b"\x7c"  # 8 packets of 20 ms
    return header + (100 // 8) * pause + 50 * speech + (1900 // 8) * pause + 50 * speech


def sphere(seconds: float = 1.0, rate: int = 16_000) -> bytes:
    """A corpus's NIST SPHERE file: a header of text, then the samples."""
    samples = (tone(seconds, rate) * 32767).astype("<i2")
    header = (
        f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_n_bytes -i 2\n"
        f"channel_count -i 1\nsample_byte_format -s2 01\nsample_rate -i {rate}\n"
        "sample_coding -s3 pcm\nend_head\n"
    )
    return header.encode().ljust(1024) + samples.tobytes()


def dictation(n_blocks: int = 10) -> bytes:
    """A dictation device's DSS file of some 0.3 s per block; nothing here writes speech as DSS."""
    header = bytearray(1024)
    header[:4] = b"\x02dss"
    header[0x26:0x3E] = b"261125101500261125101600"  # begun and ended: year to second
    noise = bytes(range(23, 229)) * 3
    return bytes(header) + n_blocks * (bytes([0, 0, 12, 0, 0, 0]) + noise[:506])


#: What few send: a recording of each kind, and its length in seconds.
RARE = {
    "corpus": (sphere(2.0), 2.0),
    "dictation": (dictation(10), 2.95),
    "broadcast": (encoded("loas", 2.0), 2.0),
}


def repeated_table(n_samples: int) -> bytes:
    """A small mov whose tables say of one sample that it comes again and again."""
    sound = np.zeros((1, 800), np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as target:
        stream = target.add_stream("pcm_mulaw", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.rate = 8000
        target.mux([*stream.encode(frame), *stream.encode(None)])
    body = bytearray(file.getvalue())
    # Samples and their duration, their size and samples, the samples of the first chunk.
    for table, at, numbers in (
        (b"stts", 12, (n_samples, 2)),
        (b"stsz", 8, (1, n_samples)),
        (b"stsc", 16, (n_samples,)),
    ):
        struct.pack_into(f">{len(numbers)}I", body, body.index(table) + at, *numbers)
    return bytes(body)


def webp(width: int, height: int) -> bytes:
    """Return a picture of one colour: some 100 bytes, whatever its size.

    Source: RFC 9649, section 3: five prefix codes of one symbol each.
    """
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (1, 1), (0, 3), *3 * [(0, 1)]]
    fields += 5 * [(1, 1), (0, 1), (0, 1), (0, 1)]
    bits = "".join(format(value, f"0{n}b")[::-1] for value, n in fields)
    data = int(bits[::-1], 2).to_bytes(len(bits) // 8 + 1, "little") + bytes(64)
    data += bytes(len(data) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def wav_with_cover(picture: bytes) -> bytes:
    """Return a second of silence and behind it an ID3 tag with a picture."""
    frame = b"\0image/webp\0\3\0" + picture
    frame = b"APIC" + struct.pack(">I", len(frame)) + bytes(2) + frame
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    tag = b"ID3\3\0\0" + size + frame
    tag += bytes(len(tag) % 2)
    whole = wav(1.0) + b"id3 " + struct.pack("<I", len(tag)) + tag
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
