"""From transcripts to results: counts per utterance, then sums over groups of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.evaluate.config import Context
from training.evaluate.decoded import DecodedSet
from training.evaluate.metrics import (
    ErrorCounts,
    count_characters,
    count_words,
    misses_end,
    repeats_itself,
    total,
)
from training.evaluate.normalise import normalise
from training.evaluate.report import Group, SplitResult, TextScore, Utterance
from training.prepare.shards import Clip

# Whisper is fed 30 s; most recordings of sentences are shorter than 6.
_DURATION_EDGES_S = (0, 2, 4, 6, 10, 20, 30)


@dataclass(frozen=True, slots=True)
class Scored:
    """One utterance and its errors; characters and words, raw and normalised."""

    utterance: Utterance
    raw_words: ErrorCounts
    raw_characters: ErrorCounts
    characters: ErrorCounts
    repeats: bool
    misses_end: bool


def score_split(
    clips: Sequence[Clip], decoded: DecodedSet, context: Context, test_set_sha256: str, n_worst: int
) -> tuple[SplitResult, list[Utterance]]:
    """Compare transcripts with the clips' texts.

    Args:
        clips: what was decoded, of one split.
        decoded: the transcripts in the same order.
        context: how the clips were decoded.
        test_set_sha256: identifies the clips.
        n_worst: how many of the worst utterances to keep in the result.
    Returns:
        the result, and every utterance in the order of the clips.
    """
    scored = [
        _score(clip, each.text, each.ended)
        for clip, each in zip(clips, decoded.decoded, strict=True)
    ]
    result = SplitResult(
        split=clips[0].split,
        context=context,
        test_set_sha256=test_set_sha256,
        overall=_group("all", scored),
        by_duration=tuple(_by_duration(scored)),
        by_domain=tuple(_by_domain(scored)),
        repetition_rate=_share(each.repeats for each in scored),
        missing_end_rate=_share(each.misses_end for each in scored),
        unterminated_rate=_share(not each.utterance.ended for each in scored),
        real_time_factor=decoded.real_time_factor,
        worst=_worst(scored, n_worst),
    )
    return result, [each.utterance for each in scored]


def _score(clip: Clip, hypothesis: str, ended: bool) -> Scored:
    reference, understood = normalise(clip.text), normalise(hypothesis)
    utterance = Utterance(
        id=clip.id,
        domain=clip.domain,
        duration_s=clip.duration_s,
        reference=clip.text,
        hypothesis=hypothesis,
        words=count_words(reference, understood),
        ended=ended,
    )
    return Scored(
        utterance,
        raw_words=count_words(clip.text, hypothesis),
        raw_characters=count_characters(clip.text, hypothesis),
        characters=count_characters(reference, understood),
        repeats=repeats_itself(hypothesis),
        misses_end=misses_end(reference, understood),
    )


def _group(label: str, scored: Sequence[Scored]) -> Group:
    return Group(
        label=label,
        n_clips=len(scored),
        hours=sum(each.utterance.duration_s for each in scored) / 3600,
        raw=TextScore(
            words=total(each.raw_words for each in scored),
            characters=total(each.raw_characters for each in scored),
        ),
        normalised=TextScore(
            words=total(each.utterance.words for each in scored),
            characters=total(each.characters for each in scored),
        ),
    )


def _by_duration(scored: Sequence[Scored]) -> Iterable[Group]:
    for low, high in zip(_DURATION_EDGES_S, _DURATION_EDGES_S[1:], strict=False):
        last = high == _DURATION_EDGES_S[-1]
        members = [
            each
            for each in scored
            if low <= each.utterance.duration_s < high
            or (last and each.utterance.duration_s >= high)
        ]
        if members:
            yield _group(f"{low}-{high} s", members)


def _by_domain(scored: Sequence[Scored]) -> Iterable[Group]:
    for domain in sorted({each.utterance.domain for each in scored} - {""}):
        yield _group(domain, [each for each in scored if each.utterance.domain == domain])


def _worst(scored: Sequence[Scored], n_worst: int) -> tuple[Utterance, ...]:
    """Most errors first; a wrong one-word clip is less telling than a lost sentence."""
    wrong = [each.utterance for each in scored if each.utterance.words.n_errors]
    wrong.sort(key=lambda each: (-each.words.n_errors, -each.words.rate, each.id))
    return tuple(wrong[:n_worst])


def _share(facts: Iterable[bool]) -> float:
    values = list(facts)
    return sum(values) / len(values)
