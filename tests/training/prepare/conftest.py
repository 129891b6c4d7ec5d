"""Spoken clips as a Common Voice release has them: mp3 at 48 kHz, and tsv files beside."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import pytest

WORDS = "katten hunden solen månen bilen båten huset skogen vägen sjön bordet stolen".split()
COLUMNS = "client_id path sentence_id sentence up_votes down_votes locale".split()


@dataclasses.dataclass(frozen=True)
class Spoken:
    """One mp3 clip and what is said in it."""

    path: Path
    text: str


def encode_mp3(wav: Path, target: Path) -> None:
    """Encode as Common Voice does: mono mp3 at 48 kHz."""
    with av.open(str(wav)) as source, av.open(str(target), "w", format="mp3") as written:
        stream = written.add_stream("libmp3lame", rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=48_000, frame_size=1152)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                written.mux(stream.encode(part))
        written.mux(stream.encode(None))


@pytest.fixture(scope="session")
def spoken(
    speech: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Spoken, ...]:
    """Twenty-four clips, all of different sentences."""
    folder = tmp_path_factory.mktemp("spoken")
    clips = []
    for number in range(24):
        words = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 5, 7)]
        text = f"Nummer {number}: {' '.join(words)}."
        path = folder / f"common_voice_sv-SE_{number:03d}.mp3"
        encode_mp3(speech(text, speed=130 + number), path)
        clips.append(Spoken(path, text))
    return tuple(clips)


@pytest.fixture
def release(spoken: tuple[Spoken, ...], tmp_path: Path) -> Path:
    """A release: clips 0-3 test, 4-7 dev, 8-17 train, all 24 validated; two clips per speaker."""
    folder = tmp_path / "cv-corpus-99.0" / "sv-SE"
    (folder / "clips").mkdir(parents=True)
    for clip in spoken:
        shutil.copy(clip.path, folder / "clips")
    rows = [tsv_row(number, clip) for number, clip in enumerate(spoken)]
    write_tsv(folder / "test.tsv", rows[:4])
    write_tsv(folder / "dev.tsv", rows[4:8])
    write_tsv(folder / "train.tsv", rows[8:18])
    write_tsv(folder / "validated.tsv", rows)
    return folder


def tsv_row(number: int, clip: Spoken) -> dict[str, str]:
    return {
        "client_id": f"speaker{number // 2}",
        "path": clip.path.name,
        "sentence_id": f"s{number}",
        "sentence": clip.text,
        "up_votes": "2",
        "down_votes": "0",
        "locale": "sv-SE",
    }


def write_tsv(path: Path, rows: list[dict[str, str]], columns: list[str] = COLUMNS) -> None:
    lines = ["\t".join(columns), *("\t".join(row[name] for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_tsv(path: Path) -> list[dict[str, str]]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
