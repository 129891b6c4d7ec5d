import io
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from services.api.wav_header import wav_duration
from services.contract import audio_formats
from services.contract.errors import AudioTooLongError, EmptyAudioError, UnsupportedAudioError
from services.worker.audio import decode
from services.worker.samples import SAMPLE_RATE
from tests.api.recordings import (
    RARE,
    amr_with_pauses,
    encoded,
    float_wav,
    flv_with_a_late_picture,
    wav_with_cover,
    webp,
)
from tests.worker.encoded import encode, samples_of

Speak = Callable[..., Path]

CODECS = [
    ("flac", "flac", 16_000),
    ("mp3", "libmp3lame", 44_100),
    ("m4a", "aac", 48_000),
    ("ogg", "libopus", 48_000),
    ("webm", "libopus", 48_000),
    ("mp4", "aac", 44_100),
    ("wav", "pcm_f64le", 192_000),
    ("wav", "pcm_u8", 8_000),
    ("wav", "pcm_s24le", 96_000),
]


def write_wav(path: Path, samples: NDArray[np.int16], *, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return path


@pytest.mark.parametrize(("suffix", "codec", "rate"), CODECS)
def test_every_codec_gives_the_same_sound(
    suffix: str, codec: str, rate: int, speech: Speak, tmp_path: Path
) -> None:
    original = samples_of(speech("Hej och välkommen till provet."))
    heard = samples_of(
        encode(speech("Hej och välkommen till provet."), tmp_path / f"a.{suffix}", codec, rate)
    )
    assert heard.dtype == np.float32 and heard.ndim == 1
    assert abs(len(heard) - len(original)) < SAMPLE_RATE / 5
    assert np.abs(heard).max() == pytest.approx(np.abs(original).max(), rel=0.3)


def test_seven_channels_are_mixed_down(speech: Speak, tmp_path: Path) -> None:
    surround = encode(speech("Hej."), tmp_path / "a.wav", "pcm_s16le", 48_000, layout="7.1")
    assert np.abs(samples_of(surround)).max() > 0.05


def test_video_with_sound_works_and_without_is_refused(speech: Speak, tmp_path: Path) -> None:
    film = encode(speech("Hej."), tmp_path / "a.mp4", "aac", 48_000, picture=True)
    assert len(samples_of(film)) > SAMPLE_RATE / 4
    silent = tmp_path / "b.mp4"
    with av.open(str(silent), "w") as written:
        video = written.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        written.mux(video.encode(frame))
        written.mux(video.encode(None))
    with pytest.raises(UnsupportedAudioError, match="no audio track"):
        samples_of(silent)


def test_a_picture_in_a_recording_is_not_decoded(tmp_path: Path) -> None:
    """It says in 100 bytes that it is a gigabyte, and a file may have as many as it likes."""
    bomb = tmp_path / "a.wav"
    bomb.write_bytes(wav_with_cover(webp(16_200, 16_200)))
    program = f"""
import resource
from services.worker.audio import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n_samples = sum(map(len, decode({str(bomb)!r})))
print(n_samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    n_samples, grown_kb = map(int, ran.stdout.split())
    assert n_samples == SAMPLE_RATE
    assert grown_kb < 200_000


def test_what_the_api_takes_for_plain_wav_is_read_as_that(speech: Speak, tmp_path: Path) -> None:
    """The size in its head is not looked at: it may make another container of the same bytes."""
    plain = speech("Hej.").read_bytes()
    other = tmp_path / "a.wav"
    other.write_bytes(plain[:4] + b"moov" + plain[8:])
    assert wav_duration(other.read_bytes(), len(plain)) is not None
    for source in (other, io.BytesIO(other.read_bytes())):
        assert np.array_equal(samples_of(source), samples_of(io.BytesIO(plain)))


def test_a_packet_of_too_many_samples_is_refused_before_it_is_decoded(
    speech: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flac = encode(speech("Hej."), tmp_path / "a.flac", "flac", 48_000, layout="stereo")
    monkeypatch.setattr(audio_formats, "MAX_PACKET_SAMPLES", 2 * 4608)
    assert len(samples_of(flac))
    monkeypatch.setattr(audio_formats, "MAX_PACKET_SAMPLES", 100)
    with pytest.raises(UnsupportedAudioError):
        samples_of(flac)


def test_a_packet_of_many_minutes_is_refused(tmp_path: Path) -> None:
    """A resampler returns it as a whole: 8 kB at one sample a second are a gigabyte here."""
    path = tmp_path / "bomb.mkv"
    with av.open(str(path), "w") as written:
        stream = written.add_stream("pcm_s16le", rate=10)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.ones((1, 4_000), np.int16), "s16", "mono")
        frame.rate = 10
        written.mux(stream.encode(frame))
    with pytest.raises(UnsupportedAudioError, match="300 s"):
        list(decode(path))


def test_an_open_file_is_read_like_a_path(speech: Speak) -> None:
    path = speech("Hej.")
    assert np.array_equal(samples_of(io.BytesIO(path.read_bytes())), samples_of(path))


def test_blocks_are_bounded(tmp_path: Path) -> None:
    long = write_wav(tmp_path / "a.wav", np.zeros(65 * SAMPLE_RATE, np.int16))
    lengths = [len(block) for block in decode(long)]
    assert sum(lengths) == 65 * SAMPLE_RATE and max(lengths) < 11 * SAMPLE_RATE


def test_a_recording_over_the_limit_stops_early(tmp_path: Path) -> None:
    long = write_wav(tmp_path / "a.wav", np.zeros(65 * SAMPLE_RATE, np.int16))
    taken = []
    with pytest.raises(AudioTooLongError):
        for block in decode(long, max_duration_s=15):
            taken.append(block)
    assert len(taken) == 1


@pytest.mark.parametrize("content", [b"", b"\n"[:0]])
def test_an_empty_file_is_called_empty(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(EmptyAudioError):
        samples_of(path)
    with pytest.raises(EmptyAudioError):
        samples_of(io.BytesIO(content))


def test_no_samples_are_called_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyAudioError):
        samples_of(write_wav(tmp_path / "a.wav", np.zeros(0, np.int16)))


@pytest.mark.parametrize(
    "content",
    [b"x", b"This is text.\n" * 100, bytes(range(256)) * 64, b"RIFF\xff\xff\xff\xffWAVE"],
)
def test_what_is_not_audio_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises((UnsupportedAudioError, EmptyAudioError)):
        samples_of(path)


def test_a_playlist_is_not_followed(speech: Speak, tmp_path: Path) -> None:
    secret = speech("Hej.")
    playlist = tmp_path / "a.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnsupportedAudioError):
        samples_of(playlist)


@pytest.mark.parametrize(("suffix", "codec", "rate"), CODECS[1:5])
def test_a_truncated_file_gives_its_beginning_or_a_typed_error(
    suffix: str, codec: str, rate: int, speech: Speak, tmp_path: Path
) -> None:
    whole = encode(speech("Hej och välkommen till provet."), tmp_path / f"a.{suffix}", codec, rate)
    cut = tmp_path / f"b.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    try:
        heard = samples_of(cut)
    except (UnsupportedAudioError, EmptyAudioError):
        return
    assert 0 < len(heard) < len(samples_of(whole))


def test_damage_in_the_middle_is_skipped(speech: Speak, tmp_path: Path) -> None:
    whole = encode(
        speech("Hej och välkommen till provet."), tmp_path / "a.mp3", "libmp3lame", 44_100
    )
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 500] = bytes(500)
    damaged = tmp_path / "b.mp3"
    damaged.write_bytes(data)
    assert len(samples_of(damaged)) > 0.7 * len(samples_of(whole))


@pytest.mark.parametrize("wide", [False, True])
def test_the_pauses_of_a_phone_keep_their_length(wide: bool) -> None:
    heard = samples_of(io.BytesIO(amr_with_pauses(wide=wide)))
    assert len(heard) / SAMPLE_RATE == pytest.approx(41.84, abs=0.1)
    seconds = heard[: 41 * SAMPLE_RATE].reshape(41, SAMPLE_RATE)
    assert set(np.flatnonzero(np.abs(seconds).mean(axis=1) > 1e-4)) <= {1, 2, 40}
    assert np.abs(heard[-SAMPLE_RATE // 2 :]).mean() > 1e-4


@pytest.mark.parametrize(("body", "seconds"), RARE.values(), ids=RARE)
def test_rare_containers_are_heard(body: bytes, seconds: float) -> None:
    heard = samples_of(io.BytesIO(body))
    assert len(heard) / SAMPLE_RATE == pytest.approx(seconds, abs=0.2)
    assert np.abs(heard).mean() > 1e-3


def test_a_header_that_lies_about_its_length_changes_nothing(speech: Speak, tmp_path: Path) -> None:
    data = bytearray(speech("Hej.").read_bytes())
    data[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    lying = tmp_path / "a.wav"
    lying.write_bytes(data)
    assert len(samples_of(lying)) == len(samples_of(speech("Hej.")))


def stereo(path: Path, left: NDArray[np.float64], right: NDArray[np.float64]) -> Path:
    both = (np.stack([left, right], axis=1) * 32767).astype(np.int16)
    return write_wav(path, both, channels=2)


def test_channels_of_opposite_phase_do_not_cancel_each_other(tmp_path: Path) -> None:
    """One wire of a balanced cable was swapped: the mean of the channels is silence."""
    tone = 0.5 * np.sin(np.arange(25 * SAMPLE_RATE) * 0.1)
    heard = samples_of(stereo(tmp_path / "a.wav", tone, -tone))
    assert len(heard) == len(tone)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=0.05)


def test_stereo_is_the_mean_of_its_channels(tmp_path: Path) -> None:
    left = 0.5 * np.sin(np.arange(SAMPLE_RATE) * 0.1)
    right = 0.3 * np.sin(np.arange(SAMPLE_RATE) * 0.37)
    heard = samples_of(stereo(tmp_path / "a.wav", left, right))
    assert np.abs(heard - (left + right) / 2).max() < 0.001


@pytest.mark.parametrize("n_channels", [3, 6, 8, 24])
def test_every_microphone_of_a_recorder_is_heard(n_channels: int, tmp_path: Path) -> None:
    """A plain WAV file does not say where its channels belong: none is a cinema's bass."""
    tone = 0.5 * np.sin(np.arange(SAMPLE_RATE) * 0.1)
    for index in range(n_channels):
        channels = np.zeros((SAMPLE_RATE, n_channels), np.int16)
        channels[:, index] = tone * 32767
        heard = samples_of(write_wav(tmp_path / "a.wav", channels, channels=n_channels))
        assert np.abs(heard - tone / 2).max() < 0.001


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_sound_in_a_file_of_floats_spoils_nothing_else(
    wrong: float, tmp_path: Path
) -> None:
    tone = (0.5 * np.sin(np.arange(25 * SAMPLE_RATE) * 0.1)).astype(np.float32)
    spoiled = tone.copy()
    spoiled[SAMPLE_RATE] = wrong
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav(spoiled, SAMPLE_RATE))
    heard = samples_of(path)
    assert np.isfinite(heard).all() and len(heard) == len(tone)
    assert np.abs(np.delete(heard - tone, SAMPLE_RATE)).max() < 0.001


def test_the_stream_that_a_file_calls_its_default_is_heard(tmp_path: Path) -> None:
    """A recorder that writes several tracks says which one a player should take."""
    path = tmp_path / "two.mka"
    with av.open(str(path), "w") as output:
        streams = [
            output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in range(2)
        ]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, level in zip(streams, (0, 8000), strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.resize(np.array([level, level, -level, -level], np.int16), (1, SAMPLE_RATE)),
                format="s16",
                layout="mono",
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE, 0
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    assert np.abs(samples_of(path)).max() > 0.2


def test_a_constant_offset_is_taken_away(tmp_path: Path) -> None:
    tone = 0.1 * np.sin(np.arange(25 * SAMPLE_RATE) * 0.1)
    in_phase = stereo(tmp_path / "a.wav", tone + 0.6, tone + 0.3)
    opposite = stereo(tmp_path / "b.wav", tone + 0.6, 0.3 - 0.9 * tone)
    for path in (in_phase, opposite):
        heard = samples_of(path)[:-100]
        assert np.abs(heard - tone[: len(heard)]).max() < 0.01


@pytest.mark.parametrize(
    "links",
    [
        (("libopus", "mono"), ("libopus", "stereo")),
        (("libopus", "mono"), ("vorbis", "stereo"), ("libopus", "stereo")),
        (("vorbis", "stereo"), ("vorbis", "stereo"), ("libopus", "mono")),
    ],
)
def test_every_link_of_an_ogg_chain_is_heard(
    links: tuple[tuple[str, str], ...], speech: Speak, tmp_path: Path
) -> None:
    path = speech("Hej och välkommen till provet.")
    parts = [
        encode(path, tmp_path / f"{index}.ogg", codec, 48_000, layout).read_bytes()
        for index, (codec, layout) in enumerate(links)
    ]
    alone_s = sum(len(samples_of(io.BytesIO(part))) for part in parts) / SAMPLE_RATE
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(b"".join(parts))
    for source in (chain, io.BytesIO(chain.read_bytes())):
        assert len(samples_of(source)) / SAMPLE_RATE == pytest.approx(alone_s, abs=0.05)


def test_an_ogg_chain_whose_end_is_damaged_keeps_its_beginning(
    speech: Speak, tmp_path: Path
) -> None:
    good = encode(speech("Hej."), tmp_path / "a.ogg", "libopus", 48_000).read_bytes()
    first_page = b"OggS\x00\x02" + bytes(20) + b"\x01\x08OpusHead"
    chain = io.BytesIO(good + first_page * 50)
    assert len(samples_of(chain)) == len(samples_of(io.BytesIO(good)))


def test_another_track_may_begin_on_the_way() -> None:
    heard = samples_of(io.BytesIO(flv_with_a_late_picture(60.0)))
    assert len(heard) / SAMPLE_RATE == pytest.approx(60.0, abs=0.15)


def test_a_track_that_has_no_form_is_none() -> None:
    """Its codec is known, and neither rate nor channels are."""
    damaged = encoded("mka").replace(b"A_PCM/INT/LIT", b"A_VORBIS\0\0\0\0\0")
    with pytest.raises(UnsupportedAudioError):
        samples_of(io.BytesIO(damaged))
