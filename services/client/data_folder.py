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
    }
    return _where_silent(given, implied)


def address(data_dir: Path, given: CommonSettings) -> Mapping[str, str]:
    """Return the `STT_` variable of where the API of a data folder answers, likewise; none if `up`
    does not run on it.
    """
    file = _address_file(data_dir)
    found = {"base_url": file.read_text(encoding="utf-8").strip()} if file.exists() else {}
    return _where_silent(given, found)


@contextmanager
def announced(data_dir: Path, base_url: str) -> Iterator[None]:
    """Keep the address of the API in a data folder while it answers there."""
    file = _address_file(data_dir)
    file.write_text(f"{base_url}\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _where_silent(given: CommonSettings, implied: Mapping[str, str]) -> Mapping[str, str]:
    return {
        f"STT_{name.upper()}": value
        for name, value in implied.items()
        if name not in given.model_fields_set
    }


def _address_file(data_dir: Path) -> Path:
    return data_dir / "address"
