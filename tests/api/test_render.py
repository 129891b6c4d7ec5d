"""Transcripts as text: formats, escaping, and subtitles that people can read."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.render import MEDIA_TYPES, render
from services.api.subtitles import MAX_CUE_S, MAX_LINE_CHARS, MAX_LINES, MIN_CUE_S, cues
from services.contract.schema import Segment, Transcript, TranscriptFormat, Word


def segment(text: str, start: float = 1.0, end: float = 3.0, *, words: bool = False) -> Segment:
    parts = text.split()
    step = (end - start) / max(1, len(parts))
    timed = tuple(
        Word(word=f" {part}", start=start + i * step, end=start + (i + 1) * step, probability=1)
        for i, part in enumerate(parts)
    )
    return Segment(start=start, end=end, text=f" {text}", words=timed if words else None)


def transcript(*segments: Segment, **facts: object) -> Transcript:
    text = "".join(s.text for s in segments).strip()
    base = Transcript(text=text, segments=segments, language="sv", duration=60, bundle="b@1")
    return base.model_copy(update=facts)


LONG = (
    "Det var en gång en mycket lång mening som ingen orkade läsa på en enda rad, och därför "
    "behövde den delas i flera delar så att den som tittar hinner läsa vad som sägs."
)


@pytest.mark.parametrize("words", [True, False])
def test_long_segments_become_short_cues(words: bool) -> None:
    found = cues([segment(LONG, 0, 14, words=words)])
    assert len(found) >= 3
    for cue in found:
        assert cue.end - cue.start <= MAX_CUE_S
        assert len(cue.lines) <= MAX_LINES
        assert all(len(line) <= MAX_LINE_CHARS for line in cue.lines)
    assert " ".join(line for cue in found for line in cue.lines) == LONG


@pytest.mark.parametrize("n_words", range(18, 60))
def test_no_cue_is_a_last_word(n_words: int) -> None:
    text = " ".join((LONG.rstrip(".").split() * 2)[:n_words])
    lengths = [sum(map(len, cue.lines)) for cue in cues([segment(text, 0, n_words / 3)])]
    assert len(lengths) > 1 and min(lengths) > 0.6 * max(lengths)


def test_the_first_cue_starts_when_speech_does() -> None:
    assert "00:00:05.250 --> 00:00:06.000" in render(transcript(segment("Hej", 5.25, 6.0)), "vtt")


def test_a_pause_within_a_segment_ends_a_cue() -> None:
    words = (
        Word(word=" Hej", start=0, end=0.5, probability=1),
        Word(word=" du", start=4, end=4.5, probability=1),
    )
    found = cues([Segment(start=0, end=4.5, text=" Hej du", words=words)])
    assert [(c.start, c.end) for c in found] == [(0, 0.5), (4, 4.5)]


def test_words_without_a_length_are_still_seen() -> None:
    # Word timing gives the last words of a hurried window one and the same moment.
    words = tuple(
        Word(word=f" {word}", start=2, end=2, probability=1) for word in LONG.split() + ["Slut."]
    )
    found = cues([Segment(start=1, end=2, text=f" {LONG} Slut.", words=words)])
    assert len(found) >= 3
    assert all(cue.end - cue.start >= 0.999 * MIN_CUE_S for cue in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_two_lines_are_of_similar_length() -> None:
    (cue,) = cues([segment("En mening med åtta ord som är lagom lång", 0, 4)])
    assert len(cue.lines) == 1
    (cue,) = cues([segment("En mening som är lite längre och som behöver två rader", 0, 4)])
    assert abs(len(cue.lines[0]) - len(cue.lines[1])) <= 8


def test_vtt_escapes_what_it_would_read_as_markup() -> None:
    text = render(transcript(segment("<b>a & b</b> --> c")), "vtt")
    assert "&lt;b&gt;a &amp; b&lt;/b&gt; --&gt; c" in text
    assert text.count("-->") == 1


def test_srt_has_no_arrow_in_its_text() -> None:
    assert render(transcript(segment("a --> b")), "srt").count("-->") == 1


def test_tsv_stays_a_table() -> None:
    assert render(transcript(segment("a\tb\nc", 0.5, 1)), "tsv") == (
        "start\tend\ttext\n500\t1000\ta b c\n"
    )


def test_times_past_an_hour() -> None:
    assert "01:01:01,500 --> " in render(transcript(segment("Hej", 3661.5, 3662)), "srt")


def test_empty_transcripts_have_every_format() -> None:
    empty = transcript()
    assert render(empty, "vtt") == "WEBVTT\n\n"
    assert render(empty, "srt") == ""
    assert render(empty, "text") == "\n"
    assert json.loads(render(empty, "json"))["languages"] == []
    assert json.loads(render(empty, "verbose_json"))["segments"] == []


def test_words_are_told_only_when_asked_for() -> None:
    spoken = transcript(segment("Hej du", words=True))
    assert "words" not in json.loads(render(spoken, "verbose_json", ["segment"]))
    answer = json.loads(render(spoken, "verbose_json", ["word"]))
    assert [w["word"] for w in answer["words"]] == ["Hej", "du"]
    assert "segments" not in answer
    assert "words" not in json.loads(render(transcript(segment("Hej du")), "verbose_json"))


def test_whoever_asks_for_words_gets_a_list_of_silence_too() -> None:
    assert json.loads(render(transcript(), "verbose_json", ["word"]))["words"] == []
    assert "words" not in json.loads(render(transcript(), "verbose_json", ["segment"]))


times = st.floats(0, 30_000, allow_nan=False)
spoken_segments = st.builds(
    lambda text, start, length, words: segment(text, start, start + length, words=words),
    st.text(max_size=300),
    times,
    st.floats(0, 60, allow_nan=False),
    st.booleans(),
)
TIME_LINE = re.compile(r"^\d\d:\d\d:\d\d[.,]\d{3} --> \d\d:\d\d:\d\d[.,]\d{3}$")


@settings(max_examples=30)
@given(st.lists(spoken_segments, max_size=5), st.sampled_from(sorted(MEDIA_TYPES)))
def test_any_transcript_has_every_format(
    segments: list[Segment], transcript_format: TranscriptFormat
) -> None:
    assert isinstance(render(transcript(*segments), transcript_format), str)


@settings(max_examples=30)
@given(st.lists(spoken_segments, max_size=5))
def test_cues_never_overlap_nor_run_backwards(segments: list[Segment]) -> None:
    found = cues(segments)
    assert all(0.999 * MIN_CUE_S <= cue.end - cue.start <= 1.001 * MAX_CUE_S for cue in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(1 <= len(cue.lines) <= MAX_LINES for cue in found)


@settings(max_examples=30)
@given(st.lists(spoken_segments, max_size=5))
def test_only_time_lines_look_like_time_lines(segments: list[Segment]) -> None:
    for name in ("srt", "vtt"):
        text = render(transcript(*segments), name)  # type: ignore[arg-type]
        arrows = [line for line in text.split("\n") if "-->" in line]
        assert all(TIME_LINE.match(line) for line in arrows)
