"""The bundled model on speech it can know: what a first user hears back."""

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.model_registry import resolve
from services.contract.schema import Transcript, TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.worker.audio import decode
from services.worker.batch_size import BatchLimits
from services.worker.engine import Engine
from services.worker.model_loader import load
from services.worker.samples import SAMPLE_RATE
from services.worker.transcriber import Transcriber
from training.evaluate.normalise import normalise

Speak = Callable[..., Path]
SWEDISH = TranscriptionOptions(language="sv", word_timestamps=True)
PAUSE_S = 0.7
SENTENCES = (
    "I morgon blir det regn i Uppsala.",
    "Klockan är kvart över sju.",
    "God morgon, hur mår du?",
    "Det kostar trehundrafyrtiofem kronor.",
    "Vi ses på torsdag.",
    "Min mamma bor i Göteborg.",
    "Kan du köpa mjölk och bröd?",
    "Tåget går klockan tretton och trettio.",
    "Idag är det den elfte mars.",
    "Det snöar i Kiruna.",
)


@pytest.fixture(scope="module")
def transcriber(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transcriber]:
    models_dir = tmp_path_factory.mktemp("models")
    settings = WorkerSettings(device="cpu", models_dir=models_dir)
    model, costs = load(resolve("demo", models_dir), settings)
    engine = Engine(model, BatchLimits(max_windows=8, budget_s=5), costs)
    yield Transcriber(engine)
    engine.close()


@pytest.fixture(scope="module")
def clips(speech: Speak) -> list[Path]:
    return [speech(sentence) for sentence in SENTENCES]


@pytest.fixture(scope="module")
def joined(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """All clips with pauses between them, and where each begins, in seconds."""
    return join(clips, PAUSE_S, tmp_path_factory.mktemp("joined") / "joined.wav")


def join(clips: list[Path], pause_s: float, path: Path) -> tuple[Path, list[float]]:
    pause = np.zeros(int(pause_s * SAMPLE_RATE), np.float32)
    parts: list[NDArray[np.float32]] = []
    starts: list[float] = []
    for clip in clips:
        starts.append(sum(map(len, parts)) / SAMPLE_RATE)
        parts += [*decode(clip, max_duration_s=60), pause]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.concatenate(parts) * 32767).astype("<i2").tobytes())
    return path, starts


@pytest.fixture(scope="module")
def together(transcriber: Transcriber, joined: tuple[Path, list[float]]) -> Transcript:
    return transcriber.transcribe(joined[0], SWEDISH)


def wer(hypotheses: list[str]) -> float:
    references = [normalise(sentence) for sentence in SENTENCES]
    if len(hypotheses) == 1:
        references = [" ".join(references)]
    return float(jiwer.wer(references, [normalise(text) for text in hypotheses]))


def test_single_sentences_are_understood(transcriber: Transcriber, clips: list[Path]) -> None:
    assert wer([transcriber.transcribe(clip, SWEDISH).text for clip in clips]) < 0.2


def test_many_sentences_are_understood_as_well_as_single_ones(
    transcriber: Transcriber, clips: list[Path], together: Transcript
) -> None:
    single = wer([transcriber.transcribe(clip, SWEDISH).text for clip in clips])
    assert wer([together.text]) <= single + 0.05


def test_sentences_that_follow_quickly_are_not_lost(
    transcriber: Transcriber, clips: list[Path], tmp_path: Path
) -> None:
    """espeak-ng ends with a third of a second of silence: less than what ends speech."""
    single = wer([transcriber.transcribe(clip, SWEDISH).text for clip in clips])
    quickly, _ = join(clips, 0.0, tmp_path / "quickly.wav")
    assert wer([transcriber.transcribe(quickly, SWEDISH).text]) <= single + 0.1


def test_a_slow_sentence_is_not_broken_at_its_pause(
    transcriber: Transcriber, speech: Speak
) -> None:
    """Cut behind its first word, the rest of it is "Jagheterarna barner"."""
    slow = speech("Hej, jag heter Anna Berg.", speed=125)
    assert transcriber.transcribe(slow, SWEDISH).text == "Hej, jag heter Anna Berg."


def test_what_is_read_twice_stays_one_window(transcriber: Transcriber, speech: Speak) -> None:
    """Read as one, its last word is lost."""
    heard = transcriber.transcribe(
        speech("Klockan åtta på tisdag den elfte april, tack.", speed=125), SWEDISH
    )
    assert heard.quality.n_windows == 1
    assert [segment.text for segment in heard.segments][1:] == [" Tack."]
    starts = [word.start for segment in heard.segments for word in segment.words or ()]
    assert starts == sorted(starts) and len(starts) == 8
    assert heard.segments[1].start >= heard.segments[0].end


@pytest.mark.slow
def test_the_sequential_loop_hears_them_as_well(
    transcriber: Transcriber, joined: tuple[Path, list[float]], together: Transcript
) -> None:
    options = SWEDISH.model_copy(update={"mode": "sequential"})
    one_by_one = transcriber.transcribe(joined[0], options)
    assert wer([one_by_one.text]) <= wer([together.text]) + 0.05
    assert one_by_one.quality.speech_s == pytest.approx(together.quality.speech_s, abs=0.5)


def test_segments_start_where_the_sentences_do(
    together: Transcript, joined: tuple[Path, list[float]]
) -> None:
    found = [segment.start for segment in together.segments]
    near = [min(abs(start - each) for each in found) <= 0.5 for start in joined[1]]
    assert sum(near) >= 0.9 * len(near), (joined[1], found)
