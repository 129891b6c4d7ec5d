import io
import shutil
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.contract.errors import (
    EmptyAudioError,
    PromptTooLongError,
    UnsupportedLanguageError,
    UnsupportedTaskError,
)
from services.contract.schema import Lane, TranscriptionOptions, WindowResult
from services.worker.decoding import WindowTask
from services.worker.engine import Engine
from services.worker.prompts import build_prompt
from services.worker.samples import SAMPLE_RATE
from services.worker.transcriber import Hooks, Transcriber
from tests.tiny_model import tiny_bundle
from tests.worker.models import SENTENCE, edit_manifest

Speak = Callable[..., Path]
Samples = NDArray[np.float32]


@pytest.fixture(scope="session")
def long_wav(spoken: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of speech in several windows."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    path.write_bytes(to_wav(np.tile(spoken, 2)).getvalue())
    return path


def to_wav(samples: Samples) -> io.BytesIO:
    """Write samples between -1 and 1 as a WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype(np.int16).tobytes())
    target.seek(0)
    return target


class Stop(Exception):
    """Raised by a test's check."""


def test_a_clip_becomes_a_transcript(engine: Engine, speech: Speak) -> None:
    transcript = Transcriber(engine).transcribe(speech("Hej."), TranscriptionOptions())
    assert transcript.text == SENTENCE
    assert transcript.language == "sv" and transcript.language_probability == 1.0
    assert transcript.bundle == "short@1"
    assert transcript.quality.n_windows == 1 and transcript.quality.speech_s > 0
    assert transcript.processing_s > 0


def test_silence_has_no_text_and_is_no_error(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(bytes(4 * SAMPLE_RATE))
    transcript = Transcriber(engine).transcribe(path, TranscriptionOptions())
    assert transcript.text == "" and transcript.segments == ()
    assert transcript.duration == 2.0 and transcript.quality.silence_removed_s == 2.0


def test_a_20_ms_clip_works(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(bytes(640))
    options = TranscriptionOptions(vad_filter=False)
    assert Transcriber(engine).transcribe(path, options).duration == pytest.approx(0.02)


def test_a_long_recording_streams_its_windows_in_recording_time(
    engine: Engine, long_wav: Path
) -> None:
    windows: list[WindowResult] = []
    transcript = Transcriber(engine).transcribe(
        long_wav, TranscriptionOptions(), hooks=Hooks(on_window=windows.append)
    )
    assert len(windows) == transcript.quality.n_windows > 2
    assert {window.index for window in windows} == set(range(len(windows)))
    reached = 0.0
    for segment in transcript.segments:
        assert reached <= segment.start <= segment.end <= transcript.duration
        reached = segment.end
    ordered = sorted(windows, key=lambda window: window.index)
    for window in ordered:
        for segment in window.segments:
            assert window.start <= segment.start and segment.end <= window.end
    assert transcript.text == " ".join([SENTENCE] * len(windows))


def test_the_engine_knows_of_windows_to_come_until_the_last_is_cut(
    engine: Engine, long_wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it does not begin with the first alone."""
    told: list[str] = []
    preparing, submit = engine.preparing, engine.submit

    @contextmanager
    def note_preparing(lane: Lane) -> Iterator[None]:
        with preparing(lane):
            told.append("begins")
            yield
            told.append("ends")

    def note_submit(task: WindowTask) -> None:
        told.append("window")
        submit(task)

    monkeypatch.setattr(engine, "preparing", note_preparing)
    monkeypatch.setattr(engine, "submit", note_submit)
    Transcriber(engine).transcribe(long_wav, TranscriptionOptions(language="sv"))
    n_windows = told.index("ends") - 1
    assert n_windows > 2 and told[: n_windows + 1] == ["begins", *n_windows * ["window"]]


def test_what_a_model_leaves_out_at_the_end_of_a_window_is_read_next(
    open_engine: Callable[[Path], Engine], spoken: Samples, tmp_path: Path
) -> None:
    """Models that write times do so at the end of full windows: seconds of speech would be lost."""
    bundle = tiny_bundle(tmp_path / "bundle", stops_early=True)
    edit_manifest(bundle, short_context=True, tasks=["transcribe", "translate"])
    options = TranscriptionOptions(vad_filter=False, task="translate")
    source = to_wav(spoken[: round(3.2 * SAMPLE_RATE)])
    transcript = Transcriber(open_engine(bundle)).transcribe(source, options)
    assert transcript.text == " ".join([SENTENCE] * 3)
    assert [(s.start, s.end) for s in transcript.segments] == [(0, 1), (1, 2), (2, 3)]
    assert transcript.quality.n_windows == 1
    assert transcript.quality.speech_s == pytest.approx(3.2)


def test_no_word_reaches_into_what_is_read_next(
    open_engine: Callable[[Path], Engine], spoken: Samples, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", stops_early=True)
    edit_manifest(bundle, tasks=["transcribe", "translate"])
    options = TranscriptionOptions(vad_filter=False, task="translate", word_timestamps=True)
    source = to_wav(spoken[: round(3.2 * SAMPLE_RATE)])
    transcript = Transcriber(open_engine(bundle)).transcribe(source, options)
    words = [word for segment in transcript.segments for word in segment.words or ()]
    assert len(words) == 3 * len(SENTENCE.split())
    assert all(before.end <= word.start for before, word in pairwise(words))


@pytest.mark.slow
def test_windows_are_those_that_the_bundle_was_trained_on(
    open_engine: Callable[[Path], Engine],
    engine: Engine,
    short_bundle_dir: Path,
    long_wav: Path,
    tmp_path: Path,
) -> None:
    sentences_dir = tmp_path / "bundle"
    shutil.copytree(short_bundle_dir, sentences_dir)
    edit_manifest(sentences_dir, name="sentences", window_s=10, packs_speech=False)
    found: list[WindowResult] = []
    hooks = Hooks(on_window=found.append)
    sentences = open_engine(sentences_dir)
    transcript = Transcriber(sentences).transcribe(long_wav, TranscriptionOptions(), hooks=hooks)
    usual = Transcriber(engine).transcribe(long_wav, TranscriptionOptions())
    assert all(window.end - window.start <= 10 for window in found)
    assert transcript.quality.n_windows > 2 * usual.quality.n_windows
    assert transcript.quality.speech_s == pytest.approx(usual.quality.speech_s, rel=0.1)


def test_finished_windows_are_not_done_again(engine: Engine, long_wav: Path) -> None:
    windows: dict[int, WindowResult] = {}

    def keep(window: WindowResult) -> None:
        windows[window.index] = window

    transcriber = Transcriber(engine)
    options = TranscriptionOptions()
    whole = transcriber.transcribe(long_wav, options, hooks=Hooks(on_window=keep))
    known = {index: window for index, window in windows.items() if index % 2 == 0}
    before = engine.statistics.n_windows
    resumed = transcriber.transcribe(long_wav, options, finished=known)
    assert engine.statistics.n_windows - before == len(windows) - len(known)
    same = {"segments", "text", "duration", "language"}
    assert resumed.model_dump(include=same) == whole.model_dump(include=same)
    assert resumed.quality == whole.quality


def test_a_stopped_run_leaves_nothing_in_the_engine(engine: Engine, long_wav: Path) -> None:
    n_checks = 0

    def check() -> None:
        nonlocal n_checks
        n_checks += 1
        if n_checks > 2:
            raise Stop

    with pytest.raises(Stop):
        Transcriber(engine).transcribe(
            long_wav, TranscriptionOptions(), hooks=Hooks(check=check), job="stopped"
        )
    again = Transcriber(engine).transcribe(long_wav, TranscriptionOptions(), job="next")
    assert again.quality.n_windows > 2
    assert len(engine._queue) == 0


def test_word_times_are_recording_times(engine: Engine, long_wav: Path) -> None:
    options = TranscriptionOptions(word_timestamps=True)
    transcript = Transcriber(engine).transcribe(long_wav, options)
    words = [word for segment in transcript.segments for word in segment.words or ()]
    assert len(words) == 3 * transcript.quality.n_windows
    starts = [word.start for word in words]
    assert starts == sorted(starts) and starts[-1] > 60


@pytest.mark.parametrize("word_timestamps", [True, False])
def test_sequential_mode_is_faster_whispers_loop(
    engine: Engine, speech: Speak, word_timestamps: bool
) -> None:
    windows: list[WindowResult] = []
    options = TranscriptionOptions(
        mode="sequential", condition_on_previous_text=True, word_timestamps=word_timestamps
    )
    transcript = Transcriber(engine).transcribe(
        speech("Hej och välkommen."), options, hooks=Hooks(on_window=windows.append)
    )
    assert SENTENCE in transcript.text and windows
    assert (transcript.segments[0].words is not None) == word_timestamps


def test_the_sequential_loop_gives_every_window_its_prompt(
    engine: Engine, long_wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no segment ends after the recording."""
    prompts: list[list[int]] = []
    real = engine.model.loop.get_prompt

    def spied(*arguments: Any, **options: Any) -> list[int]:
        prompts.append(real(*arguments, **options))
        return prompts[-1]

    monkeypatch.setattr(engine.model.loop, "get_prompt", spied)
    options = TranscriptionOptions(mode="sequential", hotwords="Åsa", initial_prompt="Mötet i går.")
    transcript = Transcriber(engine).transcribe(long_wav, options)
    tokenizer = engine.model.tokenizer("sv", "transcribe")
    given = build_prompt(engine.model, "sv", options)
    context = given[: given.index(tokenizer.sot)]
    assert len(prompts) > 1
    assert all(prompt[: len(context)] == context for prompt in prompts)
    assert all(segment.end <= transcript.duration for segment in transcript.segments)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 319])
def test_a_recording_of_a_moment_has_an_answer(
    engine: Engine, tmp_path: Path, n_samples: int
) -> None:
    """Too short for an alignment; this model hears its sentence even there."""
    clip = tmp_path / "a.wav"
    clip.write_bytes(to_wav(np.full(n_samples, 0.5, np.float32)).getvalue())
    options = TranscriptionOptions(vad_filter=False, language="sv", word_timestamps=True)
    transcript = Transcriber(engine).transcribe(clip, options)
    assert transcript.text == SENTENCE
    assert transcript.duration == pytest.approx(n_samples / SAMPLE_RATE, abs=0.001)


def test_many_threads_share_one_engine(engine: Engine, speech: Speak) -> None:
    found: list[str] = []
    paths = [speech("Hej och välkommen till provet.", speed=130 + 10 * n) for n in range(4)]

    def one(index: int) -> None:
        transcriber = Transcriber(engine)
        path = paths[index % len(paths)]
        found.append(transcriber.transcribe(path, TranscriptionOptions(), job=str(index)).text)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [SENTENCE] * 12


def test_unknown_languages_tasks_and_long_prompts_are_refused(
    engine: Engine, speech: Speak
) -> None:
    transcriber, clip = Transcriber(engine), speech("Hej.")
    with pytest.raises(UnsupportedLanguageError, match="sv"):
        transcriber.transcribe(clip, TranscriptionOptions(language="fi"))
    with pytest.raises(UnsupportedLanguageError):
        transcriber.transcribe(clip, TranscriptionOptions(languages=("fi", "de")))
    with pytest.raises(UnsupportedTaskError, match="translate"):
        transcriber.transcribe(clip, TranscriptionOptions(task="translate"))
    with pytest.raises(PromptTooLongError):
        transcriber.transcribe(clip, TranscriptionOptions(initial_prompt="hej " * 400))


def test_an_empty_file_is_a_typed_error(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(EmptyAudioError):
        Transcriber(engine).transcribe(tmp_path / "a.wav", TranscriptionOptions())


def test_the_language_is_detected_once_among_the_candidates(
    babbling_engine: Engine, speech: Speak
) -> None:
    quick = {"beam_size": 1, "compression_ratio_threshold": None, "log_prob_threshold": None}
    clip = speech("Hej och välkommen till provet.")
    transcriber = Transcriber(babbling_engine)
    free = transcriber.transcribe(clip, TranscriptionOptions(**quick))
    assert free.language in babbling_engine.model.languages
    assert 0 < free.language_probability <= 1
    among = TranscriptionOptions(**quick, languages=("fi", "de"))
    assert transcriber.transcribe(clip, among).language in ("fi", "de")
    only = TranscriptionOptions(**quick, languages=("de", "xx"))
    chosen = transcriber.transcribe(clip, only)
    assert (chosen.language, chosen.language_probability) == ("de", 1.0)


def test_the_language_may_be_detected_for_each_window(
    babbling_engine: Engine, long_wav: Path
) -> None:
    options = TranscriptionOptions(
        detect_language_per_window=True,
        beam_size=1,
        compression_ratio_threshold=None,
        log_prob_threshold=None,
        no_speech_threshold=None,
    )
    windows: list[WindowResult] = []
    transcript = Transcriber(babbling_engine).transcribe(
        long_wav, options, hooks=Hooks(on_window=windows.append)
    )
    assert all(window.language in babbling_engine.model.languages for window in windows)
    assert transcript.language in {window.language for window in windows}
    for window in windows:
        assert all(segment.language == window.language for segment in window.segments)
