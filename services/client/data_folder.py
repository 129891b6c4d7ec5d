"""Where `up` keeps everything in one folder, and the settings that follow from it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.client import embedded_redis
from services.contract.settings import CommonSettings


def defaults(data_dir: Path, given: CommonSettings) -> Mapping[str, str]:
    """Return the `STT_` variables that a data folder implies where the environment is silent."""
    folder = data_dir.resolve()
    implied = {
        "redis_url": embedded_redis.url(folder),
        "audio_store_url": f"file://{folder / 'audio'}",
        "models_dir": str(folder / "models"),
        "base_url": _announced_address(folder),
    }
    return {
        f"STT_{name.upper()}": value
        for name, value in implied.items()
        if value is not None and name not in given.model_fields_set
    }


@contextmanager
def announced(data_dir: Path, base_url: str) -> Iterator[None]:
    """Keep the address of the API in a data folder while it answers there."""
    file = _address_file(data_dir)
    file.write_text(f"{base_url}\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _announced_address(data_dir: Path) -> str | None:
    try:
        return _address_file(data_dir).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _address_file(data_dir: Path) -> Path:
    return data_dir / "address"
