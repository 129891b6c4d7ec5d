"""Recordings in any codec, and what is heard of them."""

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from services.worker.audio import decode


def samples_of(source: Path | io.BytesIO) -> NDArray[np.float32]:
    return np.concatenate(list(decode(source)))


def encode(
    source: Path, target: Path, codec: str, rate: int, layout: str = "mono", picture: bool = False
) -> Path:
    with av.open(str(source)) as spoken, av.open(str(target), "w") as written:
        # FFmpeg calls its own Vorbis encoder experimental.
        stream = written.add_stream(
            codec, rate=rate, layout=layout, options={"strict": "experimental"}
        )
        if picture:
            video = written.add_stream("mpeg4", rate=25)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            written.mux(video.encode(black))
            written.mux(video.encode(None))
        resampler = av.AudioResampler(stream.format.name, layout, rate)
        for frame in [*spoken.decode(audio=0), None]:
            for part in resampler.resample(frame):
                written.mux(stream.encode(part))
        written.mux(stream.encode(None))
    return target
