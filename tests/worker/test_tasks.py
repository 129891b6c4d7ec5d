"""The task under RQ's own SimpleWorker: the same function, no batching."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from services.contract.audio_store import AudioStore, new_key
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore, new_job_id
from services.contract.schema import (
    AudioRef,
    Job,
    JobStatus,
    Lane,
    TranscriptionOptions,
    WindowResult,
    utc_now,
)
from services.worker import tasks
from services.worker.engine import Engine
from services.worker.job_token import CooperativeDeadline
from services.worker.pace import Pace
from services.worker.tasks import Runtime, variant_of
from tests.worker.models import SENTENCE

Speak = Callable[..., Path]


class OneModel:
    """A model that is never replaced."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def use(self) -> Iterator[Engine]:
        yield self.engine


class Shop:
    """A queue, its stores, and a worker that runs what waits."""

    def __init__(self, redis: Redis, folder: Path, engine: Engine) -> None:
        self.redis = redis
        self.store = JobStore(redis, transcript_ttl_s=3600, audio_ttl_s=3600)
        self.queue = JobQueue(redis)
        self.audio = AudioStore(f"file://{folder}/audio")
        models: Any = OneModel(engine)
        pace = Pace(self.queue.report_real_time_factor)
        tasks.install(Runtime(self.store, self.queue, self.audio, models, pace, 3600))

    def send(self, data: bytes, options: TranscriptionOptions | None = None) -> str:
        key = new_key()
        with self.audio.writer(key) as writer:
            writer.write(data)
            writer.commit()
        job = Job(
            id=new_job_id(),
            owner="public",
            status=JobStatus.QUEUED,
            audio=AudioRef(key=key, sha256="0" * 64, n_bytes=len(data), duration=2.0),
            options=options or TranscriptionOptions(),
            lane=Lane.INTERACTIVE,
            created_at=utc_now(),
        )
        self.store.create(job)
        self.queue.enqueue(job)
        return job.id

    def work(self) -> None:
        worker = SimpleWorker(
            [lane.value for lane in Lane], connection=self.redis, serializer=JSONSerializer
        )
        worker.death_penalty_class = CooperativeDeadline
        worker.work(burst=True, logging_level="WARNING")


@pytest.fixture
def shop(redis_client: Redis, tmp_path: Path, engine: Engine) -> Shop:
    return Shop(redis_client, tmp_path, engine)


def test_a_job_becomes_a_transcript(shop: Shop, speech: Speak, engine: Engine) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    shop.work()
    job = shop.store.get(job_id)
    assert job.status is JobStatus.SUCCEEDED and job.progress == 1.0
    assert job.bundle == engine.model.bundle.id and job.attempt == 1
    assert shop.store.transcript(job_id).text == SENTENCE
    assert shop.queue.real_time_factor() is not None
    assert shop.queue.fetch(job_id).return_value() == {"outcome": "succeeded"}


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (b"", TranscriptionOptions(), "empty_audio"),
        (b"text" * 99, TranscriptionOptions(), "unsupported_audio"),
        (None, TranscriptionOptions(language="fi"), "unsupported_language"),
        (None, TranscriptionOptions(task="translate"), "unsupported_task"),
        (None, TranscriptionOptions(hotwords="hej " * 300), "prompt_too_long"),
    ],
)
def test_a_bad_job_fails_with_its_code_and_is_not_tried_again(
    data: bytes | None, options: TranscriptionOptions, code: str, shop: Shop, speech: Speak
) -> None:
    job_id = shop.send(speech("Hej.").read_bytes() if data is None else data, options)
    shop.work()
    job = shop.store.get(job_id)
    assert job.status is JobStatus.FAILED and job.attempt == 1
    assert job.error is not None and job.error.code == code and job.error.message
    assert shop.queue.depth()[Lane.INTERACTIVE] == 0


def test_audio_that_expired_is_a_typed_error(shop: Shop, speech: Speak) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    shop.audio.delete(shop.store.get(job_id).audio.key)
    shop.work()
    error = shop.store.get(job_id).error
    assert error is not None and error.code == "audio_expired"


def test_a_bucket_that_fails_while_it_is_read_is_sat_out(
    shop: Shop, speech: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    failures = [OSError(121, "We encountered an internal error.")]

    class Failing(io.FileIO):
        def __init__(self, path: str, mode: str, block_size: int) -> None:
            super().__init__(path, mode)

        def read(self, n_bytes: int | None = -1) -> bytes:
            if failures:
                raise failures.pop()
            return super().read(-1 if n_bytes is None else n_bytes) or b""

    monkeypatch.setattr(shop.audio, "_is_local", False)  # a bucket has no files of its own
    monkeypatch.setattr(shop.audio._fs, "open", Failing)
    shop.work()
    assert shop.store.get(job_id).status is JobStatus.SUCCEEDED and not failures


def test_a_canceled_job_is_not_run(shop: Shop, speech: Speak, engine: Engine) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    shop.store.cancel(job_id)
    before = engine.statistics.n_windows
    shop.work()
    assert engine.statistics.n_windows == before
    assert shop.store.get(job_id).status is JobStatus.CANCELED


def test_a_job_canceled_while_it_runs_stores_nothing(
    shop: Shop, speech: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    add_window = shop.store.add_window

    def cancel_first(*arguments: Any) -> bool:
        shop.store.cancel(job_id)
        return add_window(*arguments)

    monkeypatch.setattr(shop.store, "add_window", cancel_first)
    shop.work()
    assert shop.store.get(job_id).status is JobStatus.CANCELED
    assert shop.store.windows(job_id) == []


def test_checkpoints_of_the_same_model_and_options_are_used(
    shop: Shop, speech: Speak, engine: Engine
) -> None:
    options = TranscriptionOptions()
    job_id = shop.send(speech("Hej.").read_bytes(), options)
    shop.store.start(job_id, "earlier", engine.model.bundle.id)
    kept = WindowResult(
        index=0,
        start=0.0,
        end=1.0,
        segments=(),
        language="sv",
        language_probability=1.0,
        speech_s=1.0,
    )
    variant = variant_of(engine.model.bundle.id, options)
    assert shop.store.add_window(job_id, "earlier", variant, kept, 0.5)
    before = engine.statistics.n_windows
    shop.work()
    assert engine.statistics.n_windows == before, "done again"
    assert shop.store.transcript(job_id).text == ""


def test_checkpoints_of_other_options_or_models_are_not() -> None:
    plain, words = TranscriptionOptions(), TranscriptionOptions(word_timestamps=True)
    assert variant_of("a@1", plain) == variant_of("a@1", TranscriptionOptions())
    assert len({variant_of("a@1", plain), variant_of("a@2", plain), variant_of("a@1", words)}) == 3


def test_a_defect_of_ours_is_an_internal_error_and_says_nothing_secret(
    shop: Shop, speech: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())

    def broken(*_: Any) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(tasks, "_transcribe", broken)
    shop.work()
    error = shop.store.get(job_id).error
    assert error is not None and error.code == "internal_error" and "secret" not in error.message


def test_a_run_that_lost_its_lease_cannot_write(
    shop: Shop, speech: Speak, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shop.send(speech("Hej.").read_bytes())
    succeed = shop.store.succeed
    taken = threading.Event()

    def take_over(*arguments: Any) -> bool:
        shop.store.start(job_id, "another run", engine.model.bundle.id)
        taken.set()
        return succeed(*arguments)

    monkeypatch.setattr(shop.store, "succeed", take_over)
    shop.work()
    assert taken.is_set()
    assert shop.store.get(job_id).status is JobStatus.PROCESSING
    assert shop.queue.fetch(job_id).return_value() == {"outcome": "lost"}
