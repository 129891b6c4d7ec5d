"""What a model bundle is: a directory that a worker can load, described by its manifest.json.

Trainer, API, worker and client all read bundles through this module. It parses and hashes files and
knows nothing of inference: no CTranslate2, no torch. Where bundles come from and which one is
served is in model_registry.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.contract.errors import ModelBundleError
from services.contract.window_shape import WindowShape

MANIFEST_FILE = "manifest.json"
ALL_TASKS: tuple[str, ...] = ("transcribe", "translate")

# What CTranslate2 and faster-whisper open. Without tokenizer.json faster-whisper would go to the
# network; without preprocessor_config.json it assumes 80 mel bands, which is right for all but
# the newest large models, so plain directories may lack that one.
_REQUIRED_FILES = ("config.json", "model.bin", "tokenizer.json")
_VOCABULARY_FILES = ("vocabulary.json", "vocabulary.txt")
_OPTIONAL_FILES = ("preprocessor_config.json", "generation_config.json")
SERVED_FILES = (*_REQUIRED_FILES, *_VOCABULARY_FILES, *_OPTIONAL_FILES)
_DEFAULT_N_MELS = 80
#: Tokens of the smallest multilingual Whisper; the English ones have one fewer.
#: Source: CTranslate2 src/models/whisper.cc, is_multilingual.
_N_TOKENS_OF_ALL_LANGUAGES = 51_865
FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError(f"file name {name!r} must stay inside the bundle")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Evaluation(BaseModel):
    """Error rates on one test set; rates are shares, 0.05 is 5 %."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    test_set_name: str
    """Corpus and split, as people know it."""
    test_set_sha256: Sha256
    """Identifies the test set: results on the same hash may be compared."""
    wer: float
    """Word error rate on raw text, case and punctuation included."""
    wer_normalised: float
    """Word error rate on normalised text."""
    cer: float
    """Character error rate on raw text."""
    cer_normalised: float
    """Character error rate on normalised text."""
    n_clips: int
    """Clips in the test set."""
    hours: float
    """Hours of audio in the test set."""


class BundleManifest(WindowShape):
    """What manifest.json says about a bundle, the windows that it takes among the rest."""

    format: Literal[1] = 1
    """Version of this description."""
    name: str = Field(pattern=FOLDER_NAME)
    """The model's name, also its folder under the models directory."""
    version: str = Field(pattern=FOLDER_NAME)
    """Tells the bundles of one name apart."""
    base_model: str
    """The model that training started from; "scratch" if none."""
    languages: tuple[str, ...] = ()
    """Language codes the model was made for; empty means all of Whisper's."""
    tasks: tuple[str, ...] = ALL_TASKS
    """What the model can do: transcribe, translate."""
    files: dict[FileName, Sha256]
    """SHA-256 of every file of the bundle except this manifest."""
    short_context: bool = False
    """Whether evaluation proved that unpadded windows cost no accuracy."""
    quantization: str
    """Type of the stored weights, in CTranslate2's words: float16, int8."""
    n_mels: int = _DEFAULT_N_MELS
    """Mel bands of the encoder's input."""
    evaluations: tuple[Evaluation, ...] = ()
    """Results on test sets."""
    data_manifest_sha256: Sha256 | None = None
    """Hash of the prepared corpus' manifest."""
    git_revision: str | None = None
    """Revision of the training code."""
    made_at: datetime
    """When the bundle was converted, with time zone."""
    demo: bool = False
    """Whether the model knows only synthetic speech."""


@dataclass(frozen=True)
class ModelBundle:
    """A bundle that was read: where it lies and what it is."""

    path: Path
    manifest: BundleManifest | None
    id: str
    """`name@version`; for a directory without manifest its folder name or hub id."""
    n_mels: int
    """Mel bands of the encoder's input: 80, or 128 for large-v3."""
    languages: tuple[str, ...]
    """Language codes the model was made for; empty means all of Whisper's."""
    tasks: tuple[str, ...]
    """Tasks the model can do."""

    @property
    def name(self) -> str:
        """The id without its version."""
        return self.manifest.name if self.manifest else self.id

    @property
    def short_context(self) -> bool:
        """Whether the model may be given windows that are not padded to 30 s."""
        return self.manifest.short_context if self.manifest else False

    @property
    def window_shape(self) -> WindowShape:
        """What windows the model takes."""
        return self.manifest or WindowShape()

    @property
    def window_s(self) -> float:
        """The longest window that the model gets at once, in seconds."""
        return self.window_shape.window_s

    @property
    def is_demo(self) -> bool:
        """Whether the model knows only synthetic speech."""
        return self.manifest.demo if self.manifest else False

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that make up the bundle, manifest.json not among them."""
        if self.manifest:
            return tuple(sorted(self.manifest.files))
        return tuple(name for name in sorted(SERVED_FILES) if (self.path / name).is_file())


def read(path: Path, *, plain_id: str | None = None) -> ModelBundle:
    """Read a bundle without hashing its files.

    Args:
        path: the bundle's directory.
        plain_id: the id of a directory without a manifest, its folder name by default.
    Raises:
        ModelBundleError: no such directory, files are missing or unreadable, or damaged.
    """
    try:
        return _read(path, plain_id)
    except OSError as error:
        raise ModelBundleError(f"cannot read {error.filename or path}: {error.strerror}") from error


def _read(path: Path, plain_id: str | None) -> ModelBundle:
    if not path.is_dir():
        raise ModelBundleError(f"{path} is not a directory; give the folder of a model bundle")
    manifest = _read_manifest(path / MANIFEST_FILE)
    _require_files(path, () if manifest is None else manifest.files)
    if manifest is not None:
        own_id = f"{manifest.name}@{manifest.version}"
        known = (manifest.n_mels, manifest.languages, manifest.tasks)
        return ModelBundle(path, manifest, own_id, *known)
    is_english = _n_tokens(path) < _N_TOKENS_OF_ALL_LANGUAGES
    return ModelBundle(
        path,
        None,
        plain_id or path.resolve().name,
        _feature_size(path),
        ("en",) if is_english else (),
        ("transcribe",) if is_english else ALL_TASKS,
    )


def verify(path: Path, *, plain_id: str | None = None) -> ModelBundle:
    """Read a bundle and compare every file with its hash in the manifest.

    Raises:
        ModelBundleError: as `read`, or a file differs from its hash.
    """
    bundle = read(path, plain_id=plain_id)
    if bundle.manifest is not None:
        for name, expected in bundle.manifest.files.items():
            if file_sha256(path / name) != expected:
                raise ModelBundleError(
                    f"{path / name} is damaged: its sha256 is not that of {MANIFEST_FILE}; "
                    "copy the bundle again"
                )
    return bundle


def hash_files(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each named file under `path`, for a manifest's `files`."""
    return {name: file_sha256(path / name) for name in sorted(names)}


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of one file in hexadecimal, reading it in blocks."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelBundleError(f"cannot read {path}: {error.strerror}") from error


def write_manifest(path: Path, manifest: BundleManifest) -> None:
    """Write manifest.json into the bundle's directory."""
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=2)
    (path / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def seal(staging: Path, final: Path) -> None:
    """Move a complete staging directory to its place so that a crash leaves all or nothing.

    Raises:
        ModelBundleError: `final` exists already, or the disk refuses.
    """
    if final.exists():
        raise ModelBundleError(f"{final} exists already; remove it or choose another version")
    try:
        for file in (file for file in staging.rglob("*") if file.is_file()):
            sync(file)
        sync(staging)
        final.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(final)
        sync(final.parent)
    except OSError as error:
        raise ModelBundleError(f"cannot write {final}: {error.strerror}") from error


def sync(path: Path) -> None:
    """Flush a file or directory entry to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_manifest(path: Path) -> BundleManifest | None:
    try:
        return BundleManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelBundleError(f"{path} is damaged at {where}: {first['msg']}") from error


def _require_files(path: Path, listed: Iterable[str]) -> None:
    missing = [name for name in {*_REQUIRED_FILES, *listed} if not (path / name).is_file()]
    if not any((path / name).is_file() for name in _VOCABULARY_FILES):
        missing.append(" or ".join(_VOCABULARY_FILES))
    if missing:
        checkpoint = "a transformers checkpoint is converted by `python -m training convert`"
        raise ModelBundleError(
            f"{path} is not a CTranslate2 Whisper model: {', '.join(sorted(missing))} missing; "
            + ("copy the bundle again" if listed else checkpoint)
        )


def _n_tokens(path: Path) -> int:
    """Return the size of the vocabulary."""
    file = next(path / name for name in _VOCABULARY_FILES if (path / name).is_file())
    try:
        text = file.read_bytes()
        tokens = text.splitlines() if file.suffix == ".txt" else json.loads(text)
    except ValueError as error:
        raise ModelBundleError(f"{file} is not a JSON list of tokens: {error}") from error
    if not isinstance(tokens, list):
        raise ModelBundleError(f"{file} is not a JSON list of tokens")
    return len(tokens)


def _feature_size(path: Path) -> int:
    config_path = path / "preprocessor_config.json"
    if not config_path.is_file():
        return _DEFAULT_N_MELS
    try:
        config: dict[str, Any] = json.loads(config_path.read_text(encoding="utf-8"))
        return int(config.get("feature_size", _DEFAULT_N_MELS))
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelBundleError(f"{config_path} is not a JSON object with a feature_size") from error
