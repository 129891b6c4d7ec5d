"""A folder of recordings, each with a .txt of the same name beside it."""

from collections.abc import Iterator
from pathlib import Path

from services.contract.errors import DataError
from training.prepare.manifest_file import split_name
from training.prepare.rows import AUDIO_SUFFIXES, Drop, Row, bad, clip_id

_WANTED = (
    "give a folder of audio + .txt, a Common Voice release with train.tsv and clips/, or a "
    "manifest: a .jsonl, .csv or .tsv file with audio and text"
)


def read(folder: Path) -> Iterator[Row | Drop]:
    """Yield every recording below the folder, in order of path.

    A first folder named train, dev or test is the split, any other one the speaker.

    Raises:
        DataError: there is no audio at all, or no .txt at all.
    """
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    files = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    recordings = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    if not recordings:
        raise DataError(f"holds no audio files; {_WANTED}", path=str(folder))
    if not any(recording.with_suffix("") in texts for recording in recordings):
        raise DataError(f"holds audio but no .txt beside any of it; {_WANTED}", path=str(folder))
    for recording in recordings:
        yield _row(folder, recording, texts.get(recording.with_suffix("")))


def _row(folder: Path, recording: Path, text_file: Path | None) -> Row | Drop:
    where = recording.as_posix()
    if text_file is None:
        return bad(where, "has no .txt beside it")
    try:
        text = (folder / text_file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return bad(where, "its .txt is not UTF-8")
    *folders, _ = recording.parts
    split = split_name(folders[0]) if folders else None
    speakers = folders[1:] if split else folders
    return Row(
        id=clip_id(where),
        audio=where,
        text=text,
        where=where,
        speaker="/".join(speakers),
        split=split or "",
    )
