"""Where a model bundle can come from: the bundled demo, a directory, the hub, a URL.

Every function ends with the bundle's files in a local directory. huggingface_hub and fsspec are
imported only when one of them is needed, so that a process with a local model starts without them.
"""

import re
import tarfile
from pathlib import Path
from typing import Any

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import (
    MANIFEST_FILE,
    SERVED_FILES,
    BundleManifest,
    ModelBundle,
    read,
)

DEMO = "demo"
_HUB_ID = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[\w./-]+))?$")
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def demo_directory() -> Path:
    """Return the directory of the bundled demo model: models/demo beside services/.

    Raises:
        ModelBundleError: this installation was made without it.
    """
    path = Path(__file__).resolve().parents[2] / "models" / DEMO
    if not (path / MANIFEST_FILE).is_file():
        raise ModelBundleError(
            f"the demo model is not at {path}; run `make demo-model`, or set STT_MODEL to a hub id "
            "such as KBLab/kb-whisper-small or to the directory of a bundle"
        )
    return path


def looks_like_path(model: str) -> bool:
    """Tell a directory from a hub id: an existing one, or spelled with a leading / . or ~."""
    return model.startswith(("/", ".", "~")) or Path(model).is_dir()


def open_local(model: str) -> ModelBundle:
    """Read the bundle in a directory given as text."""
    return read(Path(model).expanduser())


def is_hub_id(model: str) -> bool:
    """Whether the text has the form owner/name or owner/name@revision."""
    return _HUB_ID.match(model) is not None


def fetch_from_hub(model: str, cache_dir: Path | None = None) -> ModelBundle:
    """Download the served files of a hub repository, or take them from its cache.

    Args:
        model: owner/name or owner/name@revision.
        cache_dir: the hub's cache directory, its own default if None.
    Raises:
        ModelBundleError: no such repository, no network and nothing cached, or no model in it.
    """
    match = _HUB_ID.match(model)
    if match is None:
        raise ModelBundleError(
            f"{model!r} is not a hub id of the form owner/name or owner/name@revision"
        )
    path = _snapshot(match["repo"], match["revision"], cache_dir)
    return read(path, plain_id=match["repo"])


def _snapshot(repo: str, revision: str | None, cache_dir: Path | None) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        patterns = [MANIFEST_FILE, *SERVED_FILES]
        path = huggingface_hub.snapshot_download(
            repo, revision=revision, cache_dir=cache_dir, allow_patterns=patterns
        )
    except errors.RevisionNotFoundError as error:
        raise ModelBundleError(f"the hub has no revision {revision!r} of {repo}") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelBundleError(
            f"the hub has no model {repo}, or it is private or gated: check the name, set HF_TOKEN"
        ) from error
    # HTTPError is that of the hub client's HTTP library, which is not the same in all versions.
    except (OSError, errors.HTTPError, ValueError) as error:  # type: ignore[attr-defined]
        raise ModelBundleError(
            f"cannot fetch {repo} from the hub and it is not in the cache: {_first_line(error)}; "
            "check the network, or set STT_MODEL to a local directory or `demo`"
        ) from error
    return Path(path)


def fetch_from_url(url: str, into: Path) -> ModelBundle:
    """Download a bundle from any fsspec URL: a folder with a manifest, or a tar archive of one.

    Args:
        url: for example s3://bucket/models/kb/3 or https://host/kb-3.tar.gz.
        into: an empty directory for the files.
    Raises:
        ModelBundleError: the URL cannot be read, or the archive is damaged or climbs out.
    """
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        if path.endswith(_ARCHIVE_SUFFIXES):
            return _fetch_archive(filesystem, path, into)
        return _fetch_folder(filesystem, path.rstrip("/"), into)
    except ImportError as error:
        raise ModelBundleError(f"{url} needs a package that is not installed: {error}") from error
    except FileNotFoundError as error:  # fsspec's has an address only; behind it is the reason.
        why = error.__cause__ or error.strerror or "not found"
        raise ModelBundleError(
            f"cannot fetch a bundle from {url}: {error.filename or error}: {why}"
        ) from error
    except (OSError, ValueError, tarfile.TarError) as error:
        raise ModelBundleError(f"cannot fetch a bundle from {url}: {_first_line(error)}") from error


def _fetch_folder(filesystem: Any, path: str, into: Path) -> ModelBundle:
    filesystem.get_file(f"{path}/{MANIFEST_FILE}", str(into / MANIFEST_FILE))
    manifest = BundleManifest.model_validate_json((into / MANIFEST_FILE).read_bytes())
    for name in manifest.files:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(f"{path}/{name}", str(into / name))
    return read(into)


def _fetch_archive(filesystem: Any, path: str, into: Path) -> ModelBundle:
    with filesystem.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r|*") as archive:
        archive.extractall(into, filter="data")
    manifests = sorted(into.glob(f"**/{MANIFEST_FILE}"))
    if not manifests:
        raise ModelBundleError(f"{path} holds no {MANIFEST_FILE}; make the archive from a bundle")
    return read(manifests[0].parent)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
