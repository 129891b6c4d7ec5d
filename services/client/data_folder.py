"""Where `up` keeps everything in one folder, and the settings that follow from it."""

from collections.abc import Mapping
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
    return {
        f"STT_{name.upper()}": value
        for name, value in implied.items()
        if name not in given.model_fields_set
    }
