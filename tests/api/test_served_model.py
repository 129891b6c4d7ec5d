"""What the API tells of a model that only a folder or a worker knows."""

import os
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from services.api.served_model import ServedModels
from services.contract.job_queue import JobQueue
from services.contract.settings import ApiSettings
from tests.contract.plain_bundles import make_plain


def served(model: str, redis_client: Redis, models_dir: Path) -> ServedModels:
    settings = ApiSettings(model=model, models_dir=models_dir)
    return ServedModels(settings, JobQueue(redis_client))


def test_a_folder_without_manifest_was_made_when_its_files_were_written(
    redis_client: Redis, tmp_path: Path
) -> None:
    folder = make_plain(tmp_path / "plain")
    for file in folder.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    models = served(str(folder), redis_client, tmp_path / "models")
    assert models.refresh().created_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_model_that_only_workers_see_stays_as_old_as_it_was(
    redis_client: Redis, tmp_path: Path
) -> None:
    models = served("openai/whisper-small", redis_client, tmp_path / "models")
    assert models.refresh().created_at == models.refresh().created_at
