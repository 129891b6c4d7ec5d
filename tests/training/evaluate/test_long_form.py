"""Joined clips through faster-whisper: whole, or cut at the pauses as the bundle asks for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from services.contract.model_bundle import read
from services.worker.audio import decode
from tests.tiny_model import SENTENCE
from tests.training.small_corpus import write_corpus
from tests.worker.models import edit_manifest
from training.evaluate import long_form
from training.evaluate.config import EvaluateConfig
from training.evaluate.long_form import JoinedRecording, evaluate_long_form
from training.evaluate.word_times import TimedWord
from training.prepare.shards import SAMPLE_RATE

CONFIG = EvaluateConfig(device="cpu", beam_size=1)
SPOKEN = ("Det regnar i Uppsala.", "Klockan är kvart över sju.", "Vi ses på torsdag.")


@pytest.mark.parametrize(("packs_speech", "n_heard"), [(True, 1), (False, len(SPOKEN))])
@pytest.mark.parametrize("has_manifest", [True, False])
def test_each_stretch_of_speech_is_heard_alone_if_the_bundle_asks_for_it(
    has_manifest: bool,
    packs_speech: bool,
    n_heard: int,
    speech: Callable[..., Path],
    tiny_bundle_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tiny model says its sentence once to whatever it hears at once. What a manifest says goes
    before the config, which says the opposite here; a checkpoint has only the config."""
    pause = np.zeros(SAMPLE_RATE, np.float32)
    parts = [part for said in SPOKEN for part in (*decode(speech(said), max_duration_s=60), pause)]
    recording = JoinedRecording(np.concatenate(parts), "det", [TimedWord("det", 0.1)], frozenset())
    monkeypatch.setattr(long_form, "join", lambda *_: recording)
    corpus = write_corpus(tmp_path / "corpus", {"test": [("Det.", 1.0, "")]})
    bundle_dir = shutil.copytree(tiny_bundle_dir, tmp_path / "bundle")
    edit_manifest(bundle_dir, packs_speech=packs_speech)
    if not has_manifest:  # a checkpoint's, which config describes
        (bundle_dir / "manifest.json").unlink()
    said_by_config = has_manifest != packs_speech
    result = evaluate_long_form(
        read(bundle_dir),
        CONFIG.model_copy(update={"packs_speech": said_by_config}),
        corpus,
        list(corpus.clips("test")),
        [],
        {},
    )
    n_words = result.words.hits + result.words.substitutions + result.words.insertions
    assert n_words == n_heard * len(SENTENCE.split())


@pytest.mark.parametrize("text", ["Det kostar 1 200 kr.", "Av 2 345 678 hushåll är 50 % små."])
def test_flawless_transcript_of_numbers_and_units_has_no_errors(
    text: str, tiny_bundle_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some words are made of several: reference and transcript are made of them alike."""
    clips = [(text, 1.0, "")] * 3
    corpus = write_corpus(tmp_path / "corpus", {"test": clips})
    heard = [SimpleNamespace(text=f" {text}", start=1.5 * i, words=[]) for i in range(len(clips))]
    monkeypatch.setattr(long_form, "_transcribe", lambda *_, **__: heard)
    result = evaluate_long_form(
        read(tiny_bundle_dir), CONFIG, corpus, list(corpus.clips("test")), [], {}
    )
    assert result.n_clips == len(clips)
    assert result.words.hits > 0 and result.words.n_errors == 0
