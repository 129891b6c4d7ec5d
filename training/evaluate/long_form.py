"""Clips joined to minutes, transcribed by faster-whisper's own loop: what short clips cannot show.

A model tuned on single sentences may stop after the first one, or lose its timestamps. Joined with
pauses between them, clips give a long recording whose text and times are known. A model whose
windows hold one stretch of speech gets the recording so here too: cut at its pauses.
"""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import faster_whisper
import numpy as np
from faster_whisper.transcribe import Segment
from faster_whisper.vad import VadOptions, get_speech_timestamps

from services.contract import schema
from services.contract.errors import ModelBundleError
from services.contract.model_bundle import ModelBundle
from services.contract.window_shape import WindowShape
from training.evaluate.config import EvaluateConfig
from training.evaluate.decoded import Samples
from training.evaluate.metrics import count_words, total
from training.evaluate.normalise import normalise
from training.evaluate.report import LongFormResult, Utterance
from training.evaluate.word_times import TimedWord, normalised, start_errors
from training.prepare.shards import SAMPLE_RATE, Clip, PreparedCorpus

_PAUSE_S = 0.5
_GOOD_START_S = 0.5
# Speech stands out from the noise a little after a soft consonant has begun.
_SAME_START_S = 0.25
_SEED = 0


@dataclass(frozen=True)
class JoinedRecording:
    """Clips one after the other with pauses between them."""

    samples: Samples
    text: str
    """Normalised texts of all clips: 1 200 and 50 % are words only as a whole."""
    words: list[TimedWord]
    """Words of all clips, normalised one by one, with the starts that are known."""
    clip_ids: frozenset[str]

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.samples) / SAMPLE_RATE


def evaluate_long_form(
    bundle: ModelBundle,
    config: EvaluateConfig,
    corpus: PreparedCorpus,
    clips: Sequence[Clip],
    single: Sequence[Utterance],
    word_times: Mapping[str, list[TimedWord]],
) -> LongFormResult:
    """Transcribe joined clips and compare text and times with the truth.

    Args:
        bundle: the model.
        config: minutes, beam size, language; the windows of a bundle without a manifest.
        corpus: holds the clips.
        clips: of one split; joined in a seeded order until the length is reached.
        single: the same clips decoded one by one in full context.
        word_times: true word times by clip id, as far as they are known.
    """
    recording = join(corpus, clips, word_times, 60 * config.long_form_minutes)
    model = _load(bundle, config)
    started = time.perf_counter()
    shape = bundle.manifest or config
    cuts = {} if shape.packs_speech else _at_pauses(recording, shape)
    segments = _transcribe(model, recording, config, cuts, word_timestamps=False)
    processing_s = time.perf_counter() - started
    timed = _transcribe(model, recording, config, cuts, word_timestamps=True)
    segment_errors = start_errors(recording.words, _first_words(segments))
    word_errors = start_errors(recording.words, _all_words(timed))
    good = sum(error <= _GOOD_START_S for error in segment_errors)
    return LongFormResult(
        split=clips[0].split,
        minutes=recording.duration_s / 60,
        n_clips=len(recording.clip_ids),
        words=count_words(
            recording.text, normalise(" ".join(segment.text for segment in segments))
        ),
        words_of_single_clips=total(u.words for u in single if u.id in recording.clip_ids),
        segment_starts_within_half_s=good / len(segment_errors) if segment_errors else None,
        median_word_start_error_s=statistics.median(word_errors) if word_errors else None,
        n_segment_starts=len(segment_errors),
        n_word_starts=len(word_errors),
        real_time_factor=processing_s / recording.duration_s,
    )


def join(
    corpus: PreparedCorpus,
    clips: Sequence[Clip],
    word_times: Mapping[str, list[TimedWord]],
    duration_s: float,
) -> JoinedRecording:
    """Join clips in a seeded order until the recording is long enough or all are used."""
    order = list(clips)
    random.Random(_SEED).shuffle(order)
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE), dtype=np.float32)
    pieces: list[Samples] = [pause]
    words: list[TimedWord] = []
    used: list[Clip] = []
    n_samples = len(pause)
    for clip in order:
        if used and n_samples >= duration_s * SAMPLE_RATE:
            break
        samples = corpus.samples(clip)
        words += normalised(_words_of(clip, word_times, n_samples / SAMPLE_RATE))
        pieces += [samples, pause]
        n_samples += len(samples) + len(pause)
        used.append(clip)
    text = " ".join(normalise(clip.text) for clip in used)
    return JoinedRecording(np.concatenate(pieces), text, words, frozenset(c.id for c in used))


def _words_of(
    clip: Clip, word_times: Mapping[str, list[TimedWord]], offset_s: float
) -> list[TimedWord]:
    """Words of a clip with the starts that are known: all, the first, or none."""
    known = word_times.get(clip.id, [])
    if known and _same_start(clip, known[0]):
        return [
            TimedWord(w.word, None if w.start_s is None else w.start_s + offset_s) for w in known
        ]
    start = None if clip.start_s is None else clip.start_s + offset_s
    return [TimedWord(word, None if i else start) for i, word in enumerate(clip.text.split())]


def _same_start(clip: Clip, first: TimedWord) -> bool:
    """Whether the times still hold: they do not where `prepare` cut silence before the speech."""
    if clip.start_s is None or first.start_s is None:
        return False
    return abs(clip.start_s - first.start_s) <= _SAME_START_S


def _load(bundle: ModelBundle, config: EvaluateConfig) -> faster_whisper.WhisperModel:
    try:
        return faster_whisper.WhisperModel(
            str(bundle.path),
            device=config.device,
            compute_type=config.compute_type,
            cpu_threads=config.threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelBundleError(f"faster-whisper cannot load {bundle.path}: {error}") from error


def _transcribe(
    model: faster_whisper.WhisperModel,
    recording: JoinedRecording,
    config: EvaluateConfig,
    cuts: dict[str, Any],
    *,
    word_timestamps: bool,
) -> list[Segment]:
    segments, _ = model.transcribe(
        recording.samples,
        language=config.language,
        task=config.task,
        beam_size=config.beam_size,
        word_timestamps=word_timestamps,
        **cuts,
    )
    return list(segments)


def _at_pauses(recording: JoinedRecording, shape: WindowShape) -> dict[str, Any]:
    """Return faster-whisper's options for hearing each stretch of speech alone, as the worker.

    The worker also cuts long stretches at shorter pauses than those between clips.
    """
    served = schema.VadOptions().model_dump()
    speech = VadOptions(**served, max_speech_duration_s=shape.window_s)
    chunks = get_speech_timestamps(recording.samples, speech)
    edges = [chunk[edge] / SAMPLE_RATE for chunk in chunks for edge in ("start", "end")]
    return {"clip_timestamps": edges, "condition_on_previous_text": False}


def _first_words(segments: Sequence[Segment]) -> list[TimedWord]:
    """All words of the transcript, where only the first of each segment has a start."""
    words = (
        [TimedWord(w, None if i else s.start) for i, w in enumerate(s.text.split())]
        for s in segments
    )
    return normalised(list(chain.from_iterable(words)))


def _all_words(segments: Sequence[Segment]) -> list[TimedWord]:
    words = (TimedWord(w.word, float(w.start)) for s in segments for w in s.words or ())
    return normalised(list(words))
