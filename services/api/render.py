"""Turn the one stored transcript into any format. Pure functions; nothing is transcribed again."""

import html
import json
from collections.abc import Callable, Collection
from typing import Any

from services.api.languages import name_of
from services.api.subtitles import cues
from services.contract.schema import Granularity, Seconds, Segment, Transcript, TranscriptFormat

MEDIA_TYPES: dict[TranscriptFormat, str] = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
}
#: OpenAI's routes call all but JSON plain text, as hosted: some SDKs parse anything else as JSON.
OPENAI_MEDIA_TYPES: dict[TranscriptFormat, str] = {
    name: MEDIA_TYPES["json" if name in ("json", "verbose_json") else "text"]
    for name in MEDIA_TYPES
}
FILE_SUFFIXES: dict[TranscriptFormat, str] = {
    "json": ".json",
    "verbose_json": ".json",
    "text": ".txt",
    "srt": ".srt",
    "vtt": ".vtt",
    "tsv": ".tsv",
}
BOTH: tuple[Granularity, ...] = ("segment", "word")
FRAMES_PER_SECOND = 100


def render(
    transcript: Transcript,
    transcript_format: TranscriptFormat,
    granularities: Collection[Granularity] = BOTH,
) -> str:
    """Return a transcript as text of the format.

    Args:
        transcript: the canonical result of a job.
        transcript_format: one of MEDIA_TYPES.
        granularities: what verbose_json lists; words only if the transcript has them.
    """
    if transcript_format == "verbose_json":
        return _json(verbose(transcript, granularities))
    return _WRITERS[transcript_format](transcript)


def plain(transcript: Transcript) -> dict[str, Any]:
    """Return OpenAI's `json` answer."""
    return {
        "text": transcript.text,
        "languages": [{"code": transcript.language}] if transcript.text else [],
        "usage": _usage(transcript),
    }


def verbose(transcript: Transcript, granularities: Collection[Granularity]) -> dict[str, Any]:
    """Return OpenAI's `verbose_json` answer with our own facts beside it.

    `language` is a name, as hosted: of the text, so English for a translation.
    """
    spoken = transcript.language
    answer: dict[str, Any] = {
        "task": transcript.task,
        "language": "english" if transcript.task == "translate" else name_of(spoken),
        "language_code": spoken,
        "language_probability": transcript.language_probability,
        "duration": transcript.duration,
        "text": transcript.text,
        "model": transcript.bundle,
        "processing_s": transcript.processing_s,
        "quality": transcript.quality.model_dump(),
        "usage": _usage(transcript),
    }
    if "segment" in granularities:
        answer["segments"] = [segment_json(i, s) for i, s in enumerate(transcript.segments)]
    # Of silence the list is empty, not missing: whoever asked for words goes through it.
    has_words = not transcript.segments or any(s.words is not None for s in transcript.segments)
    if "word" in granularities and has_words:
        words = [word for segment in transcript.segments for word in segment.words or ()]
        # Whisper's words begin with a space, the hosted API's do not.
        answer["words"] = [{**word.model_dump(), "word": word.word.strip()} for word in words]
    return answer


def segment_json(index: int, segment: Segment) -> dict[str, Any]:
    """Return one segment with the fields that OpenAI's clients require."""
    return {
        "id": index,
        "seek": int(segment.start * FRAMES_PER_SECOND),
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": transcript.duration}


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _text(transcript: Transcript) -> str:
    return transcript.text + "\n"


def _srt(transcript: Transcript) -> str:
    blocks = [
        # An arrow in the text would read as a time line.
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        + "\n".join(line.replace("-->", "→") for line in cue.lines)
        for number, cue in enumerate(cues(transcript.segments), start=1)
    ]
    return "".join(block + "\n\n" for block in blocks)


def _vtt(transcript: Transcript) -> str:
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        + "\n".join(html.escape(line, quote=False) for line in cue.lines)
        for cue in cues(transcript.segments)
    ]
    return "WEBVTT\n\n" + "".join(block + "\n\n" for block in blocks)


def _tsv(transcript: Transcript) -> str:
    """Milliseconds and text, as openai/whisper writes it."""
    rows = [
        f"{round(1000 * s.start)}\t{round(1000 * s.end)}\t{' '.join(s.text.split())}"
        for s in transcript.segments
    ]
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


def _clock(time: Seconds, decimal_mark: str) -> str:
    milliseconds = max(0, round(1000 * time))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, milliseconds = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


_WRITERS: dict[TranscriptFormat, Callable[[Transcript], str]] = {
    "json": lambda transcript: _json(plain(transcript)),
    "text": _text,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
}
