"""A recording as blocks of samples, whatever its codec, without ever holding it whole."""

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from services.contract.audio_formats import best_stream, is_pause, open_audio
from services.contract.errors import AudioTooLongError, EmptyAudioError, UnsupportedAudioError
from services.worker.ogg_links import Rest, next_link
from services.worker.recording_clock import RecordingClock
from services.worker.samples import BLOCK_SAMPLES, SAMPLE_RATE, Samples

logger = logging.getLogger(__name__)

Source = str | os.PathLike[str] | BinaryIO

#: No encoder makes a packet as long; of a low sample rate, a few kilobytes become gigabytes here.
_MAX_FRAME_S = 300
#: Channels whose mean has less than this share of the louder one's power cancel each other.
_CANCELED = 0.01
#: Speech has a mean far below this, full scale being 1.
_OFFSET = 0.01
#: Files of floats may go above full scale, which is 1; speech does not go this far above it.
_LOUDEST = 10.0


def decode(source: Source, *, max_duration_s: float = float("inf")) -> Iterator[Samples]:
    """Yield a recording as mono float32 blocks at 16 kHz, shape (n_samples,), about 10 s each.

    Damaged packets are skipped; what can be heard is heard. Where a file has a gap, in a film whose
    sound begins later or a recording that paused, there is silence: times are those of a player.

    Args:
        source: path, or a seekable binary file.
        max_duration_s: longer recordings are refused once that much is decoded: headers lie.
    Raises:
        UnsupportedAudioError: no container that we read, no audio in it, or no packet decodes.
        EmptyAudioError: no bytes, or an audio stream without samples.
        AudioTooLongError: longer than `max_duration_s`.
    """
    n_samples = 0
    for block in _blocks(source):
        n_samples += len(block)
        if n_samples > max_duration_s * SAMPLE_RATE:
            raise AudioTooLongError(
                f"the audio is longer than {max_duration_s:.0f} s; split it into shorter files"
            )
        yield block
    if n_samples == 0:
        raise EmptyAudioError("the audio stream has no samples; check the recording")


def _blocks(source: Source) -> Iterator[Samples]:
    parts: list[Samples] = []
    n_waiting = 0
    for frame in _resampled(_frames(source)):
        part = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
        if n_waiting >= BLOCK_SAMPLES or (parts and part.shape[1] != parts[-1].shape[1]):
            yield _mixed(np.concatenate(parts))
            parts, n_waiting = [], 0
        parts.append(part.astype(np.float32, copy=False))
        n_waiting += len(part)
    if n_waiting:
        yield _mixed(np.concatenate(parts))


def _mixed(channels: Samples) -> Samples:
    """Mix channels, shape (n_samples, n_channels), to one: each of several at half its level.

    Channels of opposite phase (a swapped wire) have silence as their mean: the louder is heard.
    A constant offset (a cheap sound card) drowns quiet speech: it is taken away. Files of floats
    may hold what is no number: one would deafen the detector for the rest of the recording.
    """
    channels = np.nan_to_num(np.clip(channels, -_LOUDEST, _LOUDEST))
    offset = channels.mean(axis=0)
    if np.abs(offset).max() > _OFFSET:
        channels = channels - offset
    mean: Samples = channels.sum(axis=1) / min(2, channels.shape[1])
    power = np.square(channels).mean(axis=0)
    if np.square(mean).mean() < _CANCELED * power.max():
        return channels[:, power.argmax()].copy()
    return mean


def _open(source: Source | Rest) -> InputContainer:
    try:
        container = open_audio(str(source) if isinstance(source, os.PathLike) else source)
    except (av.error.FFmpegError, ValueError) as error:
        if _is_empty(source):
            raise EmptyAudioError("the file is empty; record or export it again") from error
        raise UnsupportedAudioError(
            "this is not an audio file that can be read; "
            "wav, flac, mp3, m4a, ogg, opus, webm and mp4 are among those that can"
        ) from error
    return container


def _stream(container: InputContainer) -> AudioStream:
    stream = best_stream(container)
    if stream is None:
        raise UnsupportedAudioError("the file has no audio track")
    return stream


def _is_empty(source: Source | Rest) -> bool:
    if isinstance(source, str | os.PathLike):
        return os.path.isfile(source) and os.path.getsize(source) == 0
    return source.seek(0, os.SEEK_END) == 0


def _resampled(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Resample; a stream that changes its format midway gets a new resampler.

    What is more than stereo is mixed here if the file says where each channel belongs. Otherwise
    they are the microphones of a recorder, say, and stay: a guess would take one for the bass of a
    cinema, and drop it.
    """
    resampler, described = None, None
    for frame in frames:
        if frame.samples > _MAX_FRAME_S * frame.sample_rate:
            raise UnsupportedAudioError(
                f"a packet of it holds more than {_MAX_FRAME_S} s; export it in another format"
            )
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != described:
            if resampler is not None:
                yield from resampler.resample(None)
            layout = frame.layout if _is_mixed_later(frame.layout) else "mono"
            resampler, described = AudioResampler("flt", layout, SAMPLE_RATE), found
        frame.pts = None
        try:
            yield from resampler.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise UnsupportedAudioError(
                f"audio of the form {', '.join(map(str, found))} cannot be converted"
            ) from error
    if resampler is not None:
        yield from resampler.resample(None)


def _is_mixed_later(layout: AudioLayout) -> bool:
    return len(layout.channels) == 2 or all(channel.name == "NONE" for channel in layout.channels)


def _frames(source: Source) -> Iterator[AudioFrame]:
    """Yield all frames; of an Ogg chain those too that come after a change of codec."""
    stopped_at = yield from _frames_of_one(source)
    if stopped_at is None:
        return
    with _as_file(source) as file:
        while stopped_at is not None and (rest := next_link(file, stopped_at)) is not None:
            try:
                stopped_at = yield from _frames_of_one(rest)
            except UnsupportedAudioError as error:
                logger.warning("the end of an Ogg chain was left out: %s", error.message)
                return
            stopped_at = None if stopped_at is None else rest.start + stopped_at


def _frames_of_one(source: Source | Rest) -> Generator[AudioFrame, None, int | None]:
    """Yield the frames up to the end, or up to the error that FFmpeg does not get over.

    Returns:
        the byte of the last packet before such an error if a link of an Ogg chain may follow.
    """
    n_good = n_bad = reached = 0
    is_chain = False
    with _open(source) as container:
        stream = _stream(container)
        clock = RecordingClock(container)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                is_chain = False
                reached = packet.pos or reached
                if is_pause(stream.codec_context.name, packet.size):
                    n_good += 1
                    yield from clock.silence(float((packet.duration or 0) * packet.time_base))
                    continue
                for frame in packet.decode():
                    n_good += 1
                    yield from clock.silence_before(frame)
                    yield frame
            except av.error.FFmpegError:
                n_bad += 1
                # The demuxer is at its end after an error of its own, the decoder after too many.
                is_chain = container.format.name == "ogg"
                if n_bad > 1000 and n_bad > n_good:
                    break
            except IndexError:
                # PyAV, at the end of a file in which another track began on the way.
                break
    if n_bad and not n_good:
        raise UnsupportedAudioError("the audio is damaged: nothing in it can be decoded")
    return reached if is_chain else None


@contextmanager
def _as_file(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            yield file
    else:
        yield source
