"""What `whisper-sv doctor` found: one line each, with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    GOOD = "ok"
    WARNING = "warn"
    BAD = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    detail: str
    advice: str = ""


def good(subject: str, detail: str) -> Finding:
    """Report something as it should be."""
    return Finding(subject, Verdict.GOOD, detail)


def warning(subject: str, detail: str, advice: str) -> Finding:
    """Report something that works, but not as well as it should."""
    return Finding(subject, Verdict.WARNING, detail, advice)


def bad(subject: str, detail: str, advice: str = "") -> Finding:
    """Report something that does not work."""
    return Finding(subject, Verdict.BAD, detail, advice)
