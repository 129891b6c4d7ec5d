"""What the API knows of the model that its workers serve: its names, languages and tasks.

The API never loads or downloads a model. It reads the manifest where it can see one, and believes
the workers' heartbeats about which bundle is loaded.
"""

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.contract import model_bundle, model_registry, model_sources
from services.contract.errors import ModelBundleError, ModelNotFoundError, QueueUnavailableError
from services.contract.job_queue import JobQueue
from services.contract.model_bundle import ModelBundle
from services.contract.schema import utc_now
from services.contract.settings import CommonSettings
from services.contract.workers import WorkerInfo

logger = logging.getLogger(__name__)

#: Names of hosted models that clients have built in.
ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
REFRESH_S = 2.0


@dataclass(frozen=True)
class ServedModel:
    """The model of this stack."""

    id: str
    languages: tuple[str, ...]
    """Empty: all of Whisper's, or not known here."""
    tasks: tuple[str, ...]
    demo: bool
    short_context: bool
    created_at: datetime
    is_read: bool = True
    """Whether its manifest could be read here."""
    loaded_ids: frozenset[str] = frozenset()
    """What live workers have loaded; during a swap that is more than one."""

    @property
    def name(self) -> str:
        """The id without its version."""
        return self.id.split("@", 1)[0]

    def answers_to(self, wanted: str) -> bool:
        """Whether a request for the model `wanted` is for this one."""
        names = {self.id, self.name, *ALIASES}
        names |= self.loaded_ids | {i.split("@", 1)[0] for i in self.loaded_ids}
        # Hosted models are also named with a date: gpt-4o-mini-transcribe-2025-12-15.
        return wanted in names or re.sub(r"-\d{4}-\d{2}-\d{2}$", "", wanted) in ALIASES


class ServedModels:
    """Knows the served model: a task refreshes it (maintenance.py), every request asks."""

    def __init__(self, settings: CommonSettings, queue: JobQueue) -> None:
        """Know only the setting; `refresh` looks."""
        self._settings = settings
        self._queue = queue
        self._unseen = self._known = unknown(settings.model)

    def served(self) -> ServedModel:
        """Return the model as it was at most REFRESH_S ago; never waits for disk or Redis."""
        return self._known

    def serves(self, bundle_id: str | None) -> bool:
        """Whether a bundle is the served one, or one that live workers still have loaded."""
        return bundle_id in self._known.loaded_ids | {self._known.id}

    def refresh(self) -> ServedModel:
        """Look again at disk and Redis. Sync: call it in a thread."""
        self._known = self._look()
        return self._known

    def require(self, wanted: str | None) -> ServedModel:
        """Return the served model if it is the one that a request names.

        Raises:
            ModelNotFoundError: it is another one.
        """
        model = self._known
        if wanted is None or model.answers_to(wanted):
            return model
        raise ModelNotFoundError(
            f"The model {wanted[:100]!r} is not served here; use {model.id} or {ALIASES[0]}.",
            param="model",
        )

    def _look(self) -> ServedModel:
        model = self._seen() or self._unseen
        try:
            workers = self._queue.workers_alive()
        except QueueUnavailableError:
            return model
        return with_workers(model, workers)

    def _seen(self) -> ServedModel | None:
        """Describe the bundle, if this host has it."""
        try:
            bundle = self._bundle()
            return None if bundle is None else described(bundle)
        except (ModelBundleError, OSError) as error:  # damaged, or just being replaced
            logger.debug("no model to read", extra={"reason": str(error)})
            return None

    def _bundle(self) -> ModelBundle | None:
        wanted, models_dir = self._settings.model, self._settings.models_dir
        deployed = model_registry.current(models_dir)
        if deployed is not None:
            return deployed
        if wanted == model_sources.DEMO:
            return model_bundle.read(model_sources.demo_directory())
        for bundle in model_registry.list_deployed(models_dir):
            if wanted in (bundle.id, bundle.name):
                return bundle
        is_path = model_sources.looks_like_path(wanted)
        return model_sources.open_local(wanted) if is_path else None


def described(bundle: ModelBundle) -> ServedModel:
    """Describe a bundle that was read."""
    return ServedModel(
        id=bundle.id,
        languages=bundle.languages,
        tasks=bundle.tasks,
        demo=bundle.is_demo,
        short_context=bundle.short_context,
        created_at=made_at(bundle),
    )


def made_at(bundle: ModelBundle) -> datetime:
    """Return when a bundle was made; one without a manifest when its files were written here."""
    if bundle.manifest is not None:
        return bundle.manifest.made_at
    written_s = max((bundle.path / name).stat().st_mtime for name in bundle.files)
    return datetime.fromtimestamp(written_s, UTC)


def unknown(model: str) -> ServedModel:
    """Describe a model that only workers can see: they refuse what it cannot do."""
    return ServedModel(
        id=model,
        languages=(),
        tasks=model_bundle.ALL_TASKS,
        demo=model == model_sources.DEMO,
        short_context=False,
        created_at=utc_now(),
        is_read=False,
    )


def with_workers(model: ServedModel, workers: list[WorkerInfo]) -> ServedModel:
    """Believe live workers about what is loaded, where the API sees another model or none."""
    loaded = frozenset(worker.bundle for worker in workers)
    if loaded and (model.id not in loaded or not model.is_read):
        newest = max(workers, key=lambda worker: worker.last_seen or model.created_at)
        model = replace(
            model,
            id=newest.bundle,
            languages=newest.languages,
            tasks=newest.tasks or model_bundle.ALL_TASKS,
            demo=newest.demo,
            short_context=newest.short_context,
        )
    return replace(model, loaded_ids=loaded)
