"""Which recordings a command line means, and where their transcripts go."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.contract.errors import InvalidRequestError
from services.contract.schema import TranscriptFormat

#: Files in a folder that count as recordings; a file named outright is sent whatever its name.
EXTENSIONS = frozenset(
    ".wav .flac .mp3 .mp2 .mpga .mpeg .mpg .m4a .m4b .aac .ogg .oga .opus .spx .webm .weba .mka "
    ".mkv .mp4 .m4v .mov .avi .3gp .3ga .amr .awb .aiff .aif .aifc .au .caf .w64 .wma .wmv .flv "
    ".mts .m2ts .mxf .ac3 .dss .sph".split()
)
SUFFIXES: dict[TranscriptFormat, str] = {
    "json": ".json",
    "verbose_json": ".verbose.json",
    "text": ".txt",
    "srt": ".srt",
    "vtt": ".vtt",
    "tsv": ".tsv",
}


def parse_formats(names: str) -> list[TranscriptFormat]:
    """Read `srt,vtt`; `txt` is another name for text.

    Raises:
        InvalidRequestError: there is no such format.
    """
    known: dict[str, TranscriptFormat] = {form: form for form in SUFFIXES}
    known["txt"] = "text"
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise InvalidRequestError(f"No format {unknown[0]!r}; there are {', '.join(SUFFIXES)}")
    return list(dict.fromkeys(known[name] for name in wanted))


@dataclass(frozen=True)
class Recording:
    """One file to transcribe."""

    path: Path
    name: str
    """Its path below the folder or pattern that named it; also the display name."""


def find(arguments: Sequence[str]) -> list[Recording]:
    """Turn files, folders and patterns into recordings, each once, in the order given.

    Raises:
        InvalidRequestError: an argument names nothing.
    """
    found: dict[Path, Recording] = {}
    for argument in arguments:
        recordings = list(_named_by(argument))
        if not recordings:
            raise InvalidRequestError(f"{argument}: no such file, or no recordings in it")
        for recording in recordings:
            found.setdefault(recording.path.resolve(), recording)
    return list(found.values())


def _named_by(argument: str) -> Iterable[Recording]:
    if not argument:  # For Path this is the current folder.
        raise InvalidRequestError("A name is empty: a variable of the command line is not set?")
    path = Path(argument)
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return [Recording(path, path.name)]
        if path.exists():
            raise InvalidRequestError(
                f"{argument} is no file but a pipe or a device; save it first"
            )
    except OSError as error:
        raise InvalidRequestError(f"Cannot read {argument}: {error.strerror}") from error
    return _below(_fixed_part(path), (Path(p) for p in glob.glob(argument, recursive=True)))


def _in_folder(folder: Path) -> Iterable[Recording]:
    """Yield what is in a folder and below it, and those folders that cannot be read.

    They fail in the run: it would else pass over what is in them without a word.

    Raises:
        InvalidRequestError: the folder itself cannot be read.
    """
    closed: list[OSError] = []
    files = [
        Path(place, name)
        for place, _, names in os.walk(folder, onerror=closed.append)
        for name in names
    ]
    yield from _below(folder, files)
    for error in closed:
        place = Path(error.filename)
        if place == folder:
            raise InvalidRequestError(f"Cannot read {place}: {error.strerror}") from error
        if not _is_hidden(place.relative_to(folder)):
            yield Recording(place, str(place.relative_to(folder)))


def _below(root: Path, files: Iterable[Path]) -> Iterable[Recording]:
    """Yield those files that look like recordings, named by their path below the root.

    What a link leads to comes last: a recording goes by its own name, if that is there too. A
    file that cannot be looked at fails in the run.
    """
    place = os.path.realpath(root)

    def is_linked(file: Path) -> bool:
        return os.path.realpath(file) != os.path.join(place, file.relative_to(root))

    for file in sorted(files, key=lambda file: (is_linked(file), file)):
        inside = file.relative_to(root)
        if file.suffix.lower() in EXTENSIONS and not _is_hidden(inside) and not _is_other(file):
            yield Recording(file, str(inside))


def _is_other(path: Path) -> bool:
    """Whether this is a folder, a device or nothing at all."""
    try:
        return not path.is_file()
    except OSError:
        return False


def _is_hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _fixed_part(pattern: Path) -> Path:
    """Return the folder before the first wildcard."""
    while glob.has_magic(str(pattern)):
        pattern = pattern.parent
    return pattern


def outputs(
    recordings: Sequence[Recording], formats: Sequence[TranscriptFormat], out_dir: Path | None
) -> dict[Recording, dict[TranscriptFormat, Path]]:
    """Say where each transcript goes: beside its recording, or below `out_dir`.

    Two recordings that differ only in their extension keep it: talk.wav.srt, talk.mp3.srt.

    Raises:
        InvalidRequestError: two transcripts would go to the same file.
    """
    bases = {
        recording: recording.path if out_dir is None else out_dir / recording.name
        for recording in recordings
    }
    stems = Counter(base.with_suffix("") for base in bases.values())
    targets = {
        recording: {
            form: _with_ending(base, SUFFIXES[form], keep=stems[base.with_suffix("")] > 1)
            for form in formats
        }
        for recording, base in bases.items()
    }
    _refuse_collisions(targets)
    return targets


def _refuse_collisions(targets: dict[Recording, dict[TranscriptFormat, Path]]) -> None:
    owners: dict[Path, Recording] = {}
    for recording, files in targets.items():
        for file in files.values():
            other = owners.setdefault(file, recording)
            if other is not recording:
                raise InvalidRequestError(
                    f"{other.path} and {recording.path} would both be written to {file}; "
                    "give the folder that holds them both, or run twice with another --out"
                )


def _with_ending(base: Path, suffix: str, *, keep: bool) -> Path:
    return base.with_name((base.name if keep else base.stem) + suffix)


def undone(
    recording: Recording, targets: Mapping[TranscriptFormat, Path | None]
) -> dict[TranscriptFormat, Path | None]:
    """Return those targets that are no file yet, or one that is older than the recording."""
    changed = changed_at(recording)
    return {
        form: target
        for form, target in targets.items()
        if changed is None or target is None or not _is_there(target, since=changed)
    }


def _is_there(target: Path, *, since: float = 0.0) -> bool:
    try:
        return target.is_file() and target.stat().st_mtime >= since
    except OSError:  # A name that is too long: the run meets it again.
        return False


def refuse_overwriting(targets: Iterable[Path | None]) -> None:
    """Keep a run from files that are there: they may be somebody's own work.

    Raises:
        InvalidRequestError: one of them is.
    """
    for target in targets:
        if target is not None and _is_there(target):
            raise InvalidRequestError(
                f"{target} is there and older than the recording; move it away, or write over it "
                "with --force"
            )


def changed_at(recording: Recording) -> float | None:
    """Return when a recording was last written to; None if it is gone."""
    try:
        return recording.path.stat().st_mtime
    except OSError:
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequestError(f"Cannot read {path}: {error.strerror}") from error
