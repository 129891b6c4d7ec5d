"""Reads the project's documents: their commands, links, names, and tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATHS = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("training/**/*.md")]))
PROGRAMS = (
    *("make", "curl", "docker", "kubectl", "git", "pip", "python", "tar", "torchrun"),
    *("whisper-sv", "kaggle", "modal", "cd"),
)
_ASSIGNMENT = re.compile(r"^[A-Z][A-Z0-9_]*=")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """Lines that are set as code, with the language of a fence."""

    path: Path
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def is_commands(self) -> bool:
        """Whether it is something to type; diagrams, trees and configurations are not."""
        first = self.lines[0].split()[0] if self.lines[0].split() else ""
        return self.language in ("sh", "bash", "console") or first in PROGRAMS


@dataclass(frozen=True)
class Command:
    """One simple command of a document."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Name it in the ids of tests."""
        return f"{self.where} {' '.join(self.words)}"[:100]


@cache
def blocks(path: Path) -> tuple[Block, ...]:
    """Return the fenced and the indented blocks of a document."""
    found, current, language, start = [], [], None, 0
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            if language is not None and current:
                found.append(Block(path, start, language, tuple(current)))
            language, current, start = (None if language is not None else line[3:]), [], number
        elif language is not None:
            current.append(line)
        elif line.startswith("    ") and not line.lstrip().startswith(("- ", "* ")):
            start = start if current else number
            current.append(line.strip())
        elif current:
            found.append(Block(path, start, "", tuple(current)))
            current = []
    return tuple(found)


def commands() -> Iterator[Command]:
    """Yield every simple command of every document, also those in the text and in tables."""
    for path in PATHS:
        for block in blocks(path):
            if block.is_commands:
                for offset, line in enumerate(block.lines):
                    yield from simple(f"{path.relative_to(ROOT)}:{block.line + offset}", line)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for code in _CODE.findall("" if line.startswith("    ") else line):
                if code.split()[0] in PROGRAMS and len(code.split()) > 1:
                    yield from simple(f"{path.relative_to(ROOT)}:{number}", code)


def simple(where: str, line: str) -> Iterator[Command]:
    """Split a line of shell at `&&`, `;` and `|`; assignments and comments are left out."""
    if _ASSIGNMENT.match(line):
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in ("&&", ";", "|"):
            if words:
                yield Command(where, tuple(words))
            words = []
        else:
            words.append(word)


def links() -> Iterator[tuple[Path, str]]:
    """Yield every link to a place in the repository."""
    for path in PATHS:
        for target in _LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target:
                yield path, target


def anchors(path: Path) -> set[str]:
    """Return what a link can point to within a document."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


def code_spans(*paths: Path) -> Iterator[tuple[Path, str]]:
    """Yield the inline code of documents."""
    for path in paths or PATHS:
        for code in _CODE.findall(path.read_text(encoding="utf-8")):
            yield path, code


def text_of(*names: str) -> str:
    """Return documents as one text."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)
