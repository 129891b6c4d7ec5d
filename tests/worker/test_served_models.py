import gc
import logging
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from services.contract import model_registry
from services.contract.errors import ModelBundleError
from services.contract.schema import TranscriptionOptions
from services.contract.settings import WorkerSettings
from services.worker import served_models
from services.worker.served_models import ServedModels
from services.worker.transcriber import Transcriber
from tests.worker import models

Speech = Callable[..., Path]


@pytest.fixture
def settings_here(
    settings: WorkerSettings, short_bundle_dir: Path, tmp_path: Path
) -> WorkerSettings:
    return settings.model_copy(
        update={
            "model": str(short_bundle_dir),
            "models_dir": tmp_path / "models",
            "model_poll_s": 10.0,
        }
    )


def serving(served: ServedModels) -> str:
    return served.engine.model.bundle.id


def deploy(source: Path, settings: WorkerSettings, scratch: Path, **changes: str) -> None:
    newer = scratch / changes["name"]
    shutil.copytree(source, newer)
    models.edit_manifest(newer, **changes)
    model_registry.deploy(str(newer), settings.models_dir)


def test_new_jobs_get_the_new_model_and_running_ones_keep_theirs(
    settings_here: WorkerSettings, short_bundle_dir: Path, tmp_path: Path
) -> None:
    served = ServedModels(settings_here)
    served.start()
    assert serving(served) == "short@1"
    with served.use() as running:
        deploy(short_bundle_dir, settings_here, tmp_path, name="newer")
        served.poll()
        assert serving(served) == "newer@1"
        assert running.model.bundle.id == "short@1" and not running._closed
    assert running._closed, "nobody needs it any more"
    model_registry.rollback(settings_here.models_dir)
    served.poll()
    assert serving(served) == "short@1"
    served.stop()
    served.engine.close()


def test_a_model_that_nobody_uses_leaves_the_memory_at_once(
    settings_here: WorkerSettings, short_bundle_dir: Path, tmp_path: Path, speech: Speech
) -> None:
    """Whatever it was used for: the garbage collector, which finds what refers to itself, may not
    come for days.
    """
    served = ServedModels(settings_here)
    served.start()
    with served.use() as running:
        for mode in ("batched", "sequential"):
            options = TranscriptionOptions(language="sv", mode=mode, word_timestamps=True)
            Transcriber(running).transcribe(speech("Hej du glade."), options)
        model = weakref.ref(running.model)
    gc.disable()
    try:
        del running
        deploy(short_bundle_dir, settings_here, tmp_path, name="newer")
        served.poll()
        assert model() is None
    finally:
        gc.enable()
    served.stop()
    served.engine.close()


def test_a_bad_model_is_refused_once_and_a_later_good_one_taken(
    settings_here: WorkerSettings,
    short_bundle_dir: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = ServedModels(settings_here)
    served.start()
    rotten = settings_here.models_dir / "rotten" / "1"
    shutil.copytree(short_bundle_dir, rotten)
    (rotten / "model.bin").write_bytes(b"damaged")
    (settings_here.models_dir / "current").write_text("rotten/1\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            served.poll()
    refusals = [r for r in caplog.records if "refused" in r.getMessage()]
    assert len(refusals) == 1 and "damaged" in refusals[0].getMessage()
    assert serving(served) == "short@1"
    (settings_here.models_dir / "current").unlink()
    deploy(short_bundle_dir, settings_here, tmp_path, name="newer")
    served.poll()
    assert serving(served) == "newer@1"
    served.stop()
    served.engine.close()


def test_a_model_whose_reason_to_be_refused_has_passed_is_taken(
    settings_here: WorkerSettings,
    short_bundle_dir: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GPU that was full, say: after a while, or when it was rolled back and deployed again."""
    now = 1000.0
    monkeypatch.setattr(served_models, "time", SimpleNamespace(monotonic=lambda: now))
    served = ServedModels(settings_here)
    served.start()
    deploy(short_bundle_dir, settings_here, tmp_path, name="newer")
    tries = 0

    def full(*_: object) -> NoReturn:
        nonlocal tries
        tries += 1
        raise ModelBundleError("the GPU is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(served_models, "load", full)
        for pause_s in (0, 30, 31, 39, 82):
            now += pause_s
            served.poll()
    assert tries == 3 and len(caplog.records) == 1
    served.poll()
    assert serving(served) == "short@1", "it is not due"
    now += 241
    served.poll()
    assert serving(served) == "newer@1"

    with monkeypatch.context() as patch:
        patch.setattr(served_models, "load", full)
        deploy(short_bundle_dir, settings_here, tmp_path, name="newest")
        served.poll()
    model_registry.rollback(settings_here.models_dir)
    served.poll()
    model_registry.deploy("newest", settings_here.models_dir)
    served.poll()
    assert serving(served) == "newest@1"
    served.stop()
    served.engine.close()


def test_a_worker_without_a_model_does_not_start(settings_here: WorkerSettings) -> None:
    missing = settings_here.model_copy(update={"model": "./nowhere"})
    with pytest.raises(ModelBundleError):
        ServedModels(missing).start()
