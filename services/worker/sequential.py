"""`mode=sequential`: faster-whisper's own loop, which may condition on the text before.

It runs in the job's thread and takes its turns at the same CTranslate2 model, whose own queue lets
a batch of the engine in between any two windows. The loop wants the whole recording in memory. It
fills its windows from both sides of a pause, unless the model is one that hears each stretch of
speech alone: then it is given those as its clips.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from typing import Any

import numpy as np
from faster_whisper.vad import VadOptions as FasterWhisperVadOptions

from services.contract.schema import Seconds, Segment, TranscriptionOptions, WindowResult, Word
from services.contract.window_shape import WindowShape
from services.worker.decoding import ladder
from services.worker.languages import Language, candidate_languages, choose
from services.worker.model import Model
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE, Samples
from services.worker.transcript import spaced
from services.worker.windows import cut_windows


def transcribe_sequentially(
    model: Model,
    blocks: Iterable[Samples],
    options: TranscriptionOptions,
    known: Language | None,
    check: Callable[[], None],
) -> Iterator[WindowResult]:
    """Yield one result per window of faster-whisper's loop.

    Args:
        blocks: the recording, mono float32 at 16 kHz.
        known: the language, or None to detect it.
        check: called between windows; raises to stop.
    """
    samples = np.concatenate([np.zeros(0, np.float32), *blocks])
    duration = len(samples) / SAMPLE_RATE
    language = known or _detect(model, samples, options)
    build_prompt(model, language.code, options)
    arguments = _arguments(options, language.code)
    shape = model.bundle.window_shape
    if shape.packs_speech or not options.vad_filter:
        segments, info = model.loop.transcribe(samples, **arguments)
        speech_s = info.duration_after_vad
    else:
        clips = _stretches(samples, options, shape)
        speech_s = sum(end - start for start, end in clips)
        arguments |= {"vad_filter": False, "clip_timestamps": list(chain.from_iterable(clips))}
        segments = model.loop.transcribe(samples, **arguments)[0] if clips else ()
    reached = 0.0
    for index, (_, group) in enumerate(groupby(segments, key=lambda segment: segment.seek)):
        check()
        own = tuple(_segment(found, language.code, duration) for found in group)
        end = max(segment.end for segment in own)
        spoken = min(speech_s, max(0.0, end - reached))
        yield WindowResult(
            index=index,
            start=own[0].start,
            end=end,
            segments=own,
            language=language.code,
            language_probability=language.probability,
            speech_s=spoken,
            n_attempts=2 if own[0].temperature > 0 else 1,
        )
        speech_s, reached = speech_s - spoken, end


def _detect(model: Model, samples: Samples, options: TranscriptionOptions) -> Language:
    _, _, ranking = model.loop.detect_language(samples, vad_filter=options.vad_filter)
    return choose([dict(ranking)], candidate_languages(model, options))


def _stretches(
    samples: Samples, options: TranscriptionOptions, shape: WindowShape
) -> list[tuple[float, float]]:
    """Return start and end of each stretch of speech, in seconds."""
    windows = cut_windows([samples], options, shape)
    return [(window.start, window.end) for window in windows]


def _arguments(options: TranscriptionOptions, language: str) -> dict[str, Any]:
    prompt, hotwords = options.initial_prompt, options.hotwords
    if not options.condition_on_previous_text:
        # The loop forgets its prompt with the text of the first window; hotwords it keeps.
        prompt, hotwords = None, " ".join(filter(None, (hotwords, prompt))) or None
    return {
        "language": language,
        "task": options.task,
        "beam_size": options.beam_size,
        "best_of": options.best_of,
        "patience": options.patience,
        "temperature": list(ladder(options)),
        "compression_ratio_threshold": options.compression_ratio_threshold,
        "log_prob_threshold": options.log_prob_threshold,
        "no_speech_threshold": options.no_speech_threshold,
        "condition_on_previous_text": options.condition_on_previous_text,
        "initial_prompt": prompt,
        "hotwords": hotwords,
        "word_timestamps": options.word_timestamps,
        "vad_filter": options.vad_filter,
        "vad_parameters": FasterWhisperVadOptions(**options.vad.model_dump()),
    }


def _segment(found: Any, language: str, duration: Seconds) -> Segment:
    words = None
    if found.words is not None:
        words = tuple(
            Word(word=word.word, probability=word.probability, **_times(word, duration))
            for word in found.words
        )
    return Segment(
        **_times(found, duration),
        text=spaced(found.text, language),
        tokens=tuple(found.tokens),
        temperature=found.temperature,
        avg_logprob=found.avg_logprob,
        compression_ratio=found.compression_ratio,
        no_speech_prob=found.no_speech_prob,
        language=language,
        words=words,
    )


def _times(found: Any, duration: Seconds) -> dict[str, Seconds]:
    """Return start and end, in order and within the recording, which the loop fills up to 30 s."""
    start = min(found.start, duration)
    return {"start": start, "end": min(max(start, found.end), duration)}
