"""Loads a bundle: chooses device and compute type, and proves both by decoding before serving."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor

from services.contract import cublas
from services.contract.errors import ModelBundleError, SettingsError, SttError
from services.contract.model_bundle import ModelBundle
from services.contract.settings import WorkerSettings
from services.worker.cost_model import CostModel
from services.worker.model import Model
from services.worker.self_test import self_test

logger = logging.getLogger(__name__)

#: Compute types in the order of preference; the first that the self-test survives is used.
_COMPUTE_TYPES = {
    "cpu": ("int8", "float32"),
    # int8 is refused by some new GPUs, so it is no default there: CTranslate2 issue 1865.
    "cuda": ("float16", "bfloat16", "float32"),
}

#: Batches that a GPU has under way at once: while one waits for the processor, which says what the
#: GPU is to do next, the other one computes (docs/operations.md has the figures).
_GPU_BATCHES = 2


@dataclass(frozen=True)
class Plan:
    """One way to run a model."""

    device: str
    index: int
    compute_type: str
    n_parallel: int
    n_threads: int
    """CPU threads of each parallel call."""


def load(bundle: ModelBundle, settings: WorkerSettings) -> tuple[Model, CostModel]:
    """Load a verified bundle on the best device that really works.

    Raises:
        SettingsError: the device or compute type that was asked for does not work here.
        ModelBundleError: the bundle does not load or decode anywhere.
    """
    failures: list[str] = []
    without_library: set[str] = set()
    for plan in _plans(settings):
        if plan.device in without_library:
            continue
        try:
            return _try(bundle, plan, settings)
        except (RuntimeError, ValueError, SttError) as error:
            reason = str(error).partition("\n")[0]
            if cublas.is_missing(error):
                reason = f"{reason}; get it with: {cublas.HOW_TO_GET_IT}"
                without_library.add(plan.device)
            failures.append(f"{plan.device} {plan.compute_type}: {reason}")
            logger.warning("cannot use %s with %s: %s", plan.device, plan.compute_type, reason)
    what = "; ".join(failures)
    if settings.device != "auto" or settings.compute_type != "auto":
        raise SettingsError(
            f"{bundle.id} does not run as STT_DEVICE={settings.device} "
            f"STT_COMPUTE_TYPE={settings.compute_type} ({what}); try auto"
        )
    raise ModelBundleError(f"{bundle.id} does not run on this machine ({what})")


def _plans(settings: WorkerSettings) -> list[Plan]:
    wanted, _, index = settings.device.partition(":")
    devices = [wanted] if wanted != "auto" else ["cuda", "cpu"]
    n_gpus = ctranslate2.get_cuda_device_count()
    if wanted == "auto" and not n_gpus:
        devices = ["cpu"]
    if wanted == "cuda" and int(index or 0) >= n_gpus:
        raise SettingsError(
            f"STT_DEVICE={settings.device}, but {n_gpus} NVIDIA GPUs are visible; "
            "check the driver (nvidia-smi) and how the container gets the GPU, or use cpu"
        )
    if "cuda" in devices:
        cublas.load_cublas()
    plans = []
    for device in devices:
        on_cpu = device == "cpu"
        n_parallel, n_threads = _cpu_shape(settings.cpu_threads) if on_cpu else (_GPU_BATCHES, 0)
        chosen = settings.compute_type
        for compute_type in _COMPUTE_TYPES[device] if chosen == "auto" else (chosen,):
            plans.append(Plan(device, int(index or 0), compute_type, n_parallel, n_threads))
    return plans


def _cpu_shape(n_cores: int) -> tuple[int, int]:
    """Return how many batches run at once, and on how many cores each.

    Beam search is many small steps that more cores hardly speed up; benchmarks/engine.py shows it.
    """
    n_cores = n_cores or len(os.sched_getaffinity(0))
    n_threads = 1 if n_cores <= 2 else 2 if n_cores <= 8 else 4
    return max(1, n_cores // n_threads), n_threads


def _try(bundle: ModelBundle, plan: Plan, settings: WorkerSettings) -> tuple[Model, CostModel]:
    started = time.monotonic()
    whisper = ctranslate2.models.Whisper(
        str(bundle.path),
        device=plan.device,
        device_index=plan.index,
        compute_type=plan.compute_type,
        inter_threads=plan.n_parallel,
        intra_threads=plan.n_threads,
    )
    model = Model(
        bundle=bundle,
        whisper=whisper,
        hf_tokenizer=_tokenizer(bundle.path),
        feature_extractor=FeatureExtractor(feature_size=bundle.n_mels),
        device=plan.device,
        compute_type=whisper.compute_type,
        short_context=settings.short_context and bundle.short_context,
        n_parallel=plan.n_parallel,
    )
    costs = self_test(model)
    logger.info(
        "model %s on %s, compute type %s, %d parallel calls, %s context, loaded in %.1f s",
        bundle.id,
        plan.device,
        model.compute_type,
        plan.n_parallel,
        "short" if model.short_context else "full",
        time.monotonic() - started,
    )
    return model, costs


def _tokenizer(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises nothing more precise
        raise ModelBundleError(f"{path / 'tokenizer.json'} cannot be read: {error}") from error
