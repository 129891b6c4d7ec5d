"""From planned clips to one window: its samples and what is said in them."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.prepare.shards import Clip, PreparedCorpus
from training.train import augment
from training.train.config import AugmentConfig
from training.train.features import SAMPLE_RATE
from training.train.labels import SpokenText
from training.train.plan import Draw
from training.train.spoken_times import SpokenTimes

MAX_WINDOW_S = 30
MAX_WINDOW_SAMPLES = MAX_WINDOW_S * SAMPLE_RATE


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """At most 30 s of sound and what is said in it; no parts means no speech."""

    samples: NDArray[np.float32]
    parts: tuple[SpokenText, ...]


def sample_generator(
    seed: int, clips: Sequence[Clip], draws: Sequence[Draw]
) -> np.random.Generator:
    """Make the one generator of a sample, from (seed, epoch, clip id)."""
    key = "|".join(f"{clip.id}@{draw.epoch}" for clip, draw in zip(clips, draws, strict=True))
    return np.random.default_rng([seed, len(draws), zlib.crc32(key.encode())])


def build_window(
    corpus: PreparedCorpus,
    clips: Sequence[Clip],
    times: Mapping[str, SpokenTimes],
    config: AugmentConfig,
    generator: np.random.Generator,
    *,
    cut: bool = False,
) -> Window:
    """Join clips with pauses, and change speed and level.

    Args:
        clips: at least one; those that no longer fit into 30 s are left out.
        times: true times by clip id, of the clips that have them.
        cut: begin the first clip that does not fit, so that the window ends in the middle of it.
    Returns:
        a window whose parts carry the bounds of speech, in seconds from its start.
    """
    pieces: list[NDArray[np.float32]] = []
    parts: list[SpokenText] = []
    n_samples = 0
    speed = augment.draw_speed(config, generator)
    pause_s = augment.draw_lead_s(config, generator)
    if not cut and pause_s + clips[0].duration_s / speed > MAX_WINDOW_S:
        speed, pause_s = 1.0, 0.0  # else the end would be cut off, and its text would stay
    for clip in clips:
        samples = corpus.samples(clip)
        samples = samples if speed == 1.0 else augment.change_speed(samples, speed)
        pause = np.zeros(int(pause_s * SAMPLE_RATE), dtype=np.float32)
        fits = n_samples + len(pause) + len(samples) <= MAX_WINDOW_SAMPLES
        if pieces and not fits and not cut:
            break
        offset_s = (n_samples + len(pause)) / SAMPLE_RATE
        parts.append(_part(clip, times.get(clip.id), offset_s, speed))
        pieces += [pause, samples]
        if not fits and cut:
            parts += _cut(parts.pop())
            break
        n_samples += len(pause) + len(samples)
        pause_s = float(generator.uniform(0.0, 1.0))
    joined = np.concatenate(pieces)[:MAX_WINDOW_SAMPLES]
    return Window(augment.change_level(joined, config, generator), tuple(parts))


def first_of_window(durations_s: Sequence[float]) -> int:
    """Return the index of the last clip from which on the clips still fill 30 s, at least 0."""
    total_s = 0.0
    for index in range(len(durations_s) - 1, -1, -1):
        total_s += durations_s[index]
        if total_s >= MAX_WINDOW_S:
            return index
    return 0


def text_before(clips: Sequence[Clip], times: Mapping[str, SpokenTimes]) -> tuple[SpokenText, ...]:
    """Place the text of clips one after the other, as the window before would have timed them."""
    starts = np.cumsum([0.0, *(clip.duration_s for clip in clips)])
    return tuple(
        _part(clip, times.get(clip.id), float(start), 1.0)
        for clip, start in zip(clips, starts, strict=False)
    )


def _cut(part: SpokenText) -> list[SpokenText]:
    """Keep of a part what is heard before the window ends, and take its end away."""
    if part.start >= MAX_WINDOW_S:
        return []
    ends = (*part.word_starts[1:], part.end or part.start)
    heard = sum(end <= MAX_WINDOW_S for end in ends) if part.word_starts else 0
    text = " ".join(part.text.split()[:heard])
    return [SpokenText(text, part.start, None, part.word_starts[:heard])]


def _part(clip: Clip, times: SpokenTimes | None, offset_s: float, speed: float) -> SpokenText:
    """Place the text of a clip, by true times where they are known, else as prepare heard it."""
    word_starts = () if times is None else times.word_starts
    start = clip.start_s or 0.0
    end = clip.duration_s if clip.end_s is None else clip.end_s
    if times is not None:
        start, end = times.word_starts[0], times.end
    return SpokenText(
        clip.text,
        offset_s + start / speed,
        offset_s + end / speed,
        tuple(offset_s + word_start / speed for word_start in word_starts),
    )
