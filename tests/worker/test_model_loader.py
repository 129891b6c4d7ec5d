import json
import logging
import shutil
from pathlib import Path
from typing import Any

import ctranslate2
import pytest

from services.contract import model_bundle
from services.contract.errors import ModelBundleError, SettingsError
from services.contract.settings import WorkerSettings
from services.worker import model_loader
from services.worker.model_loader import load


def test_the_choice_is_one_log_line(
    short_bundle_dir: Path, settings: WorkerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        model, costs = load(model_bundle.read(short_bundle_dir), settings)
    lines = [r.getMessage() for r in caplog.records if r.name == model_loader.__name__]
    assert len(lines) == 1
    assert "short@1 on cpu, compute type int8_float32" in lines[0]
    assert model.short_context and model.n_parallel == 2
    assert 0 < costs.predict(200, 1) < 60
    model.close()


def test_short_context_can_be_switched_off(
    short_bundle_dir: Path, settings: WorkerSettings
) -> None:
    off = settings.model_copy(update={"short_context": False})
    model, _ = load(model_bundle.read(short_bundle_dir), off)
    assert model.context_of(100) == 3000
    model.close()


@pytest.mark.parametrize(
    ("n_cores", "expected"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (8, (4, 2)), (32, (8, 4))]
)
def test_cores_are_shared_out(n_cores: int, expected: tuple[int, int]) -> None:
    assert model_loader._cpu_shape(n_cores) == expected


def test_a_gpu_that_is_not_there_is_one_clear_error(
    short_bundle_dir: Path, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    wanted = settings.model_copy(update={"device": "cuda"})
    with pytest.raises(SettingsError, match="0 NVIDIA GPUs are visible"):
        load(model_bundle.read(short_bundle_dir), wanted)


class WithoutLibrary:
    """CTranslate2 on a machine with a GPU and no cuBLAS: only the CPU works."""

    def __init__(self, path: str, *, device: str, **options: Any) -> None:
        if device == "cuda":
            raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
        self._whisper = _Whisper(path, device=device, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)


_Whisper = ctranslate2.models.Whisper


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(ctranslate2.models, "Whisper", WithoutLibrary)


@pytest.mark.usefixtures("without_library")
def test_auto_falls_back_to_the_cpu_and_says_why(
    short_bundle_dir: Path, settings: WorkerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = load(
        model_bundle.read(short_bundle_dir), settings.model_copy(update={"device": "auto"})
    )
    assert model.device == "cpu"
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "cannot use cuda with float16: Library libcublas.so.12" in warning
    assert "pip install nvidia-cublas-cu12" in warning
    model.close()


@pytest.mark.usefixtures("without_library")
def test_a_missing_library_stops_a_worker_that_asked_for_the_gpu(
    short_bundle_dir: Path, settings: WorkerSettings
) -> None:
    wanted = settings.model_copy(update={"device": "cuda", "compute_type": "float16"})
    with pytest.raises(SettingsError, match="libcublas.so.12"):
        load(model_bundle.read(short_bundle_dir), wanted)


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json"])
def test_a_damaged_file_is_a_bundle_error(
    file: str, short_bundle_dir: Path, settings: WorkerSettings, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(short_bundle_dir, damaged)
    (damaged / file).write_bytes(b"{}")
    with pytest.raises(ModelBundleError):
        load(model_bundle.read(damaged), settings.model_copy(update={"device": "auto"}))


def test_a_plain_directory_serves_all_languages(
    babbling_bundle_dir: Path, settings: WorkerSettings
) -> None:
    model, _ = load(model_bundle.read(babbling_bundle_dir), settings)
    assert len(model.languages) > 90 and not model.short_context
    assert json.loads((babbling_bundle_dir / "preprocessor_config.json").read_text())
    model.close()
