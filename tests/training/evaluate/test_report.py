"""The proof that decides how fast a bundle may be served."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from training.evaluate.config import Context, EvaluateConfig
from training.evaluate.metrics import ErrorCounts
from training.evaluate.report import EvaluationReport, Group, SplitResult, TextScore


def _result(context: Context, **changes: float) -> SplitResult:
    n_errors = int(changes.pop("n_errors", 100))
    n_clips, n_words = (int(changes.pop(key, n)) for key, n in (("clips", 1000), ("words", 10_000)))
    counts = ErrorCounts(hits=n_words - n_errors, substitutions=n_errors)
    score = TextScore(words=counts, characters=counts)
    rates = {"repetition_rate": 0.0, "missing_end_rate": 0.01, "unterminated_rate": 0.0, **changes}
    return SplitResult(
        split="dev",
        context=context,
        test_set_sha256="0" * 64,
        overall=Group(label="all", n_clips=n_clips, hours=1.0, raw=score, normalised=score),
        by_duration=(),
        by_domain=(),
        real_time_factor=0.1,
        worst=(),
        **rates,
    )


def _report(*results: SplitResult) -> EvaluationReport:
    return EvaluationReport(
        model="m",
        model_sha256="0" * 64,
        normalisation="sv/1",
        config=EvaluateConfig(),
        results=results,
        long_form=None,
        device="cpu",
        tools={},
        made_at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("short", "proved"),
    [
        (lambda: _result("short"), True),
        (lambda: _result("short", n_errors=120), True),
        (lambda: _result("short", n_errors=121), False),
        (lambda: _result("short", repetition_rate=0.001), True),
        (lambda: _result("short", repetition_rate=0.002), False),
        (lambda: _result("short", missing_end_rate=0.012), False),
        (lambda: _result("short", unterminated_rate=0.002), False),
    ],
)
def test_short_context_is_proved_by_every_rate(
    short: Callable[[], SplitResult], proved: bool
) -> None:
    assert _report(_result("full"), short()).proves_short_context() is proved


def test_nothing_is_proved_without_both_contexts() -> None:
    assert not _report(_result("full")).proves_short_context()
    assert not _report(_result("short")).proves_short_context()


def test_one_bad_split_is_enough_to_refuse() -> None:
    test = [_result(c).model_copy(update={"split": "test"}) for c in ("full", "short")]
    bad = _result("short", n_errors=500)
    assert _report(_result("full"), _result("short"), *test).proves_short_context()
    assert not _report(_result("full"), bad, *test).proves_short_context()


def test_rare_accidents_are_counted_over_all_splits() -> None:
    def test_split(context: Context, missing_end_rate: float) -> SplitResult:
        result = _result(context, missing_end_rate=missing_end_rate)
        return result.model_copy(update={"split": "test"})

    dev = [_result("full", missing_end_rate=0.010), _result("short", missing_end_rate=0.009)]
    two_more = [test_split("full", 0.006), test_split("short", 0.008)]
    three_more = [test_split("full", 0.006), test_split("short", 0.009)]
    assert _report(*dev, *two_more).proves_short_context()
    assert _report(*dev, *three_more).objection_to_short_context() == (
        "missing ends in 16 of 2000 clips padded, in 18 unpadded"
    )


@pytest.mark.parametrize(
    ("clips", "words", "proved"), [(100, 500, True), (99, 500, False), (100, 499, False)]
)
def test_a_handful_of_clips_proves_nothing(clips: int, words: int, proved: bool) -> None:
    both = [_result(c, clips=clips, words=words, n_errors=9) for c in ("full", "short")]  # type: ignore[arg-type]
    report = _report(*both)
    assert report.proves_short_context() is proved
    assert proved or f"{clips} clips with {words} words" in report.objection_to_short_context()


def test_what_gets_worse_is_named() -> None:
    objection = _report(
        _result("full"), _result("short", n_errors=150)
    ).objection_to_short_context()
    assert objection == "dev: WER 1.00% padded, 1.50% unpadded"
