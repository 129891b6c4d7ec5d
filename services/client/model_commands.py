"""`whisper-sv models`, `deploy` and `rollback`: which model is served, and changing it."""

from pathlib import Path
from typing import Annotated

import typer

from services.client.tables import plain_table, show
from services.contract import model_registry
from services.contract.errors import ModelBundleError
from services.contract.model_bundle import ModelBundle
from services.contract.settings import ClientSettings, load

ModelsDir = Annotated[
    Path | None, typer.Option(help="Folder of deployed models; else STT_MODELS_DIR.")
]


def models(models_dir: ModelsDir = None) -> None:
    """List deployed models and say which one is served."""
    settings = load(ClientSettings)
    folder = models_dir or settings.models_dir
    deployed = model_registry.list_deployed(folder)
    try:
        current = model_registry.current(folder)
    except ModelBundleError:
        _list(deployed, None)
        raise
    _list(deployed, current)
    if current is None:
        typer.echo(f"Nothing is deployed in {folder}: STT_MODEL={settings.model} is served.")


def deploy(
    bundle: Annotated[
        str, typer.Argument(help="A folder, URL, hub id, or a name deployed before.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse.")] = False,
    models_dir: ModelsDir = None,
) -> None:
    """Verify a model, compare it with the one in use, and serve it in its place.

    Running workers take it over within 10 seconds; a job ends on the model it started with.
    """
    settings = load(ClientSettings)
    folder = models_dir or settings.models_dir
    deployed = model_registry.deploy(bundle, folder, force=force, cache_dir=settings.hub_cache_dir)
    typer.echo(f"{deployed.id} is served from now on. Undo: whisper-sv rollback")


def rollback(models_dir: ModelsDir = None) -> None:
    """Serve again what was served before the last deploy."""
    settings = load(ClientSettings)
    earlier = model_registry.rollback(models_dir or settings.models_dir)
    name = earlier.id if earlier else f"STT_MODEL={settings.model}"
    typer.echo(f"{name} is served again.")


def _list(deployed: list[ModelBundle], current: ModelBundle | None) -> None:
    if not deployed:
        return
    table = plain_table("", "Model", "Languages", "Short context", "WER", "Made")
    for bundle in deployed:
        manifest = bundle.manifest
        tests = manifest.evaluations if manifest else ()
        table.add_row(
            "served" if current and bundle.id == current.id else "",
            bundle.id,
            ", ".join(bundle.languages) or "all",
            "yes" if bundle.short_context else "no",
            "; ".join(f"{test.wer_normalised:.1%} {test.test_set_name}" for test in tests) or "-",
            manifest.made_at.strftime("%Y-%m-%d") if manifest else "-",
        )
    show(table)
