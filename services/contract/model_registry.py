"""Which model a stack serves: deploy, roll back, list, and turn a setting into a bundle.

A models directory holds `<name>/<version>/` and the text file `current`: its first line names the
bundle that is served, the lines below are what was served before, newest first. That file is
replaced by rename, so every reader sees the old state or the new one. What is deployed is served
in place of STT_MODEL until everything deployed has been rolled back.
"""

import fcntl
import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from services.contract import model_sources
from services.contract.errors import ModelBundleError
from services.contract.model_bundle import (
    MANIFEST_FILE,
    BundleManifest,
    ModelBundle,
    hash_files,
    read,
    seal,
    sync,
    verify,
    write_manifest,
)

logger = logging.getLogger(__name__)

CURRENT_FILE = "current"
# A new model may be this much worse (normalised word error rate, as a share) on the same test set.
WER_TOLERANCE = 0.005
_POINTER = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def resolve(model: str, models_dir: Path, *, cache_dir: Path | None = None) -> ModelBundle:
    """Find and verify the bundle that a setting such as STT_MODEL names.

    Args:
        model: `demo`, a deployed name or name@version, a directory, or a hub id[@revision].
        models_dir: where `deploy` puts models; need not exist.
        cache_dir: the hub's cache directory, its own default if None.
    Raises:
        ModelBundleError: there is no such model, or its files are damaged.
    """
    bundle = _find(model, models_dir, cache_dir)
    return verify(bundle.path, plain_id=bundle.id)


def served(model: str, models_dir: Path, *, cache_dir: Path | None = None) -> ModelBundle:
    """Return what a stack serves: the deployed bundle, or `model` while nothing is deployed."""
    deployed = current(models_dir)
    if deployed is None:
        return resolve(model, models_dir, cache_dir=cache_dir)
    return verify(deployed.path)


def current(models_dir: Path) -> ModelBundle | None:
    """Return the deployed bundle that is to be served, or None; cheap enough to poll.

    Raises:
        ModelBundleError: the file `current` or the bundle that it names cannot be read.
    """
    pointers = _read_pointers(models_dir)
    return read(_folder(models_dir, pointers[0])) if pointers else None


def list_deployed(models_dir: Path) -> list[ModelBundle]:
    """Return every readable deployed bundle, by name and then oldest first."""
    found = []
    for manifest in sorted(models_dir.glob(f"[!.]*/[!.]*/{MANIFEST_FILE}")):
        try:
            found.append(read(manifest.parent))
        except ModelBundleError as error:
            # Commands show a warning's message and none of its facts.
            logger.warning("skipping a damaged model: %s", error.message)
    return sorted(found, key=lambda bundle: (bundle.name, _made_at(bundle)))


def deploy(
    source: str, models_dir: Path, *, force: bool = False, cache_dir: Path | None = None
) -> ModelBundle:
    """Copy a bundle into the models directory and make it the one that is served.

    Args:
        source: a directory, URL, hub id[@revision], `demo`, or something deployed before.
        models_dir: the directory that workers watch; made if missing.
        force: deploy even if the model is worse than the current one on the same test set.
        cache_dir: the hub's cache directory, its own default if None.
    Raises:
        ModelBundleError: the bundle is damaged, worse than the current one, or cannot be copied;
            what was served before is untouched.
    """
    with _locked(models_dir), _scratch(models_dir) as scratch:
        bundle = _fetch(source, models_dir, cache_dir, scratch)
        bundle = verify(bundle.path, plain_id=bundle.id)
        manifest = bundle.manifest or _manifest_of_plain(bundle)
        if manifest.name == CURRENT_FILE:
            raise ModelBundleError(
                f"a model cannot be named {CURRENT_FILE}, which is a file in {models_dir}: give "
                "its manifest, or its folder, another name"
            )
        if not force:
            _check_not_worse(manifest, models_dir)
        pointer = f"{manifest.name}/{manifest.version}"
        _install(bundle, manifest, scratch / "install", models_dir / pointer)
        _write_pointers(models_dir, _pushed(pointer, _read_pointers(models_dir)))
    return read(models_dir / pointer)


def rollback(models_dir: Path) -> ModelBundle | None:
    """Serve again what was served before the last deploy.

    Returns:
        the bundle that is now served; None when the last deployed one was taken back, so that
        the stack serves its STT_MODEL again.
    Raises:
        ModelBundleError: nothing is deployed, or the earlier bundle is damaged or gone.
    """
    with _locked(models_dir):
        pointers = _read_pointers(models_dir)
        if not pointers:
            raise ModelBundleError(f"nothing is deployed in {models_dir}, so nothing to roll back")
        earlier = verify(_folder(models_dir, pointers[1])) if len(pointers) > 1 else None
        _write_pointers(models_dir, pointers[1:])
    return earlier


def _find(model: str, models_dir: Path, cache_dir: Path | None) -> ModelBundle:
    if model == model_sources.DEMO:
        return read(model_sources.demo_directory())
    deployed = _find_deployed(model, models_dir)
    if deployed is not None:
        return deployed
    if model_sources.looks_like_path(model):
        return model_sources.open_local(model)
    if model_sources.is_hub_id(model):
        return model_sources.fetch_from_hub(model, cache_dir)
    known = ", ".join(bundle.id for bundle in list_deployed(models_dir)) or "none"
    raise ModelBundleError(
        f"no model {model!r}: give `demo`, a hub id such as KBLab/kb-whisper-small, the path of a "
        f"bundle, or a deployed model (deployed in {models_dir}: {known})"
    )


def _find_deployed(model: str, models_dir: Path) -> ModelBundle | None:
    matching = [b for b in list_deployed(models_dir) if model in (b.id, b.name)]
    pointers = _read_pointers(models_dir)
    for bundle in matching:
        if pointers and bundle.path == models_dir / pointers[0]:
            return bundle
    return matching[-1] if matching else None


def _fetch(source: str, models_dir: Path, cache_dir: Path | None, scratch: Path) -> ModelBundle:
    if "://" not in source:
        return _find(source, models_dir, cache_dir)
    (scratch / "download").mkdir()
    return model_sources.fetch_from_url(source, scratch / "download")


def _manifest_of_plain(bundle: ModelBundle) -> BundleManifest:
    """Describe a directory that came without a manifest; its version is a hash of its files."""
    files = hash_files(bundle.path, bundle.files)
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    name = re.sub(r"[^\w.-]+", "-", bundle.id.rpartition("/")[2], flags=re.ASCII).lstrip("._-")
    return BundleManifest(
        name=name[:100] or "model",
        version=digest[:12],
        base_model=bundle.id,
        languages=bundle.languages,
        tasks=bundle.tasks,
        files=files,
        quantization="unknown",
        n_mels=bundle.n_mels,
        made_at=datetime.now(UTC),
    )


def _check_not_worse(candidate: BundleManifest, models_dir: Path) -> None:
    serving = current(models_dir)
    if serving is None or serving.manifest is None:
        return
    results = {e.test_set_sha256: e for e in candidate.evaluations}
    for before in serving.manifest.evaluations:
        after = results.get(before.test_set_sha256)
        if after and after.wer_normalised > before.wer_normalised + WER_TOLERANCE:
            raise ModelBundleError(
                f"{candidate.name}@{candidate.version} is worse than {serving.id} on "
                f"{before.test_set_name}: WER {after.wer_normalised:.2%} against "
                f"{before.wer_normalised:.2%}; {serving.id} goes on serving (--force overrules)"
            )


def _install(bundle: ModelBundle, manifest: BundleManifest, staging: Path, final: Path) -> None:
    if final.exists():
        if _verify_old(final).manifest != manifest and bundle.manifest is not None:
            raise ModelBundleError(
                f"{final} holds another bundle of the same name and version; convert the new one "
                "with another version"
            )
        return
    staging.mkdir()
    for name in manifest.files:
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / name, staging / name)
    write_manifest(staging, manifest)
    verify(staging)
    seal(staging, final)


def _verify_old(final: Path) -> ModelBundle:
    try:
        return verify(final)
    except ModelBundleError as error:
        raise ModelBundleError(f"{error.message}. Remove {final} first") from error


def _made_at(bundle: ModelBundle) -> datetime:
    return bundle.manifest.made_at if bundle.manifest else datetime.min.replace(tzinfo=UTC)


def _pushed(pointer: str, pointers: list[str]) -> list[str]:
    return pointers if pointers[:1] == [pointer] else [pointer, *pointers]


def _read_pointers(models_dir: Path) -> list[str]:
    try:
        lines = (models_dir / CURRENT_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ModelBundleError(f"cannot read {models_dir / CURRENT_FILE}: {error}") from error
    pointers = [line.strip() for line in lines if line.strip()]
    for pointer in pointers:
        if not _POINTER.match(pointer):
            raise ModelBundleError(f"{models_dir / CURRENT_FILE} has a bad line: {pointer!r}")
    return pointers


def _folder(models_dir: Path, pointer: str) -> Path:
    folder = models_dir / pointer
    try:
        is_there = folder.is_dir()
    except OSError as error:
        raise ModelBundleError(f"cannot read {folder}: {error.strerror}") from error
    if not is_there:
        raise ModelBundleError(
            f"{models_dir / CURRENT_FILE} names {pointer}, which is not there: copy its folder "
            "back, or deploy another model (--force)"
        )
    return folder


def _write_pointers(models_dir: Path, pointers: list[str]) -> None:
    new = models_dir / f".{CURRENT_FILE}.new"
    new.write_text("".join(f"{pointer}\n" for pointer in pointers), encoding="utf-8")
    sync(new)
    new.replace(models_dir / CURRENT_FILE)
    sync(models_dir)


@contextmanager
def _locked(models_dir: Path) -> Iterator[None]:
    """Let one deploy or rollback at a time into a models directory, and translate disk errors."""
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with (models_dir / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ModelBundleError(
            f"cannot write the models directory {models_dir}: {error.strerror or error}"
        ) from error


@contextmanager
def _scratch(models_dir: Path) -> Iterator[Path]:
    """A directory on the same disk, so that its content can be renamed into place."""
    for left_over in models_dir.glob(".staging-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".staging-", dir=models_dir))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
