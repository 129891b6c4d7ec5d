"""A worker without a model: takes jobs from the real queue and writes what a script says.

Everything it does goes through the real JobStore and JobQueue, so the API sees what it would see
of the real one.
"""

import threading
from collections.abc import Callable

from redis import Redis

from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore
from services.contract.schema import (
    ErrorInfo,
    Job,
    Quality,
    Segment,
    Transcript,
    WindowResult,
    Word,
)
from services.contract.workers import WorkerInfo

BUNDLE = "scripted@1"
#: What it hears in every recording, one entry per window.
SPOKEN = (" Hej och välkommen.", " Det här är två fönster.")
VARIANT = "v1"


class ScriptedWorker(threading.Thread):
    """Start it with `with`; set `fail_with`, `spoken`, or `gate` before a job is sent."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(daemon=True)
        self.redis = Redis.from_url(redis_url)
        self.jobs = JobStore(self.redis, transcript_ttl_s=3600, audio_ttl_s=3600)
        self.queue = JobQueue(self.redis)
        self.fail_with: ErrorInfo | None = None
        self.spoken: tuple[str, ...] = SPOKEN
        self.on_window: Callable[[Job, int], None] = lambda job, index: None
        self.started: list[str] = []
        self.bundle = BUNDLE
        self.gate = threading.Event()
        self.gate.set()
        self._asked_to_stop = threading.Event()

    def __enter__(self) -> "ScriptedWorker":
        self.report()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked_to_stop.set()
        self.gate.set()
        self.join(timeout=60)
        self.redis.close()

    def report(self) -> None:
        info = WorkerInfo(
            name="scripted",
            bundle=self.bundle,
            device="cpu",
            slots=1,
            tasks=("transcribe", "translate"),
            n_batches=2,
            n_windows=6,
        )
        self.queue.report_worker(info, lease_s=600)

    def run(self) -> None:
        keys = [queue.key for queue in self.queue.queues.values()]
        while not self._asked_to_stop.is_set():
            taken = self.redis.blpop(keys, timeout=0.1)
            if taken is not None:
                self.work(taken[1].decode())

    def work(self, job_id: str) -> None:
        """Do one job as the script says."""
        run_id = f"run-{job_id}"
        job = self.jobs.start(job_id, run_id, BUNDLE)
        if job is None:
            return
        self.started.append(job_id)
        if self.fail_with is not None:
            self.jobs.fail(job_id, run_id, self.fail_with)
        elif self._transcribe(job, run_id):
            self.jobs.succeed(job_id, run_id, transcript_of(job, self.spoken))

    def _transcribe(self, job: Job, run_id: str) -> bool:
        for index in range(len(self.spoken)):
            self.gate.wait()
            if self._asked_to_stop.is_set():
                return False
            window = window_of(job, index, self.spoken)
            progress = (index + 1) / len(self.spoken)
            if not self.jobs.add_window(job.id, run_id, VARIANT, window, progress):
                return False
            self.on_window(job, index)
        return True


def segment_of(job: Job, index: int, spoken: tuple[str, ...]) -> Segment:
    step = job.audio.duration / max(1, len(spoken))
    start, end = index * step, (index + 1) * step
    words = None
    if job.options.word_timestamps:
        parts = spoken[index].split()
        width = (end - start) / len(parts)
        words = tuple(
            Word(
                word=f" {part}",
                start=start + i * width,
                end=start + (i + 1) * width,
                probability=0.9,
            )
            for i, part in enumerate(parts)
        )
    return Segment(start=start, end=end, text=spoken[index], tokens=(1, 2), words=words)


def window_of(job: Job, index: int, spoken: tuple[str, ...]) -> WindowResult:
    segment = segment_of(job, index, spoken)
    return WindowResult(
        index=index,
        start=segment.start,
        end=segment.end,
        segments=(segment,),
        language=job.options.language or "sv",
        language_probability=0.98,
        speech_s=segment.end - segment.start,
    )


def transcript_of(job: Job, spoken: tuple[str, ...]) -> Transcript:
    segments = tuple(segment_of(job, i, spoken) for i in range(len(spoken)))
    return Transcript(
        text="".join(s.text for s in segments).strip(),
        segments=segments,
        task=job.options.task,
        language=job.options.language or "sv",
        duration=job.audio.duration,
        bundle=BUNDLE,
        quality=Quality(speech_s=job.audio.duration, n_windows=len(spoken)),
    )
