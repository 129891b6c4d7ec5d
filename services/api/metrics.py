"""Figures for Prometheus, in a registry of their own: numbers only, never names or text.

What one process sees is counted in it (requests, errors, the jobs it accepted), and added up over
all behind one port (processes.py); what all share is read from Redis when Prometheus asks.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from services.contract.audio_store import AudioStore
from services.contract.errors import QueueUnavailableError
from services.contract.events import Event
from services.contract.events import order as event_order
from services.contract.job_queue import JobQueue
from services.contract.schema import JobStatus, Lane, Seconds
from services.contract.settings import shared_counts

WAIT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
FACTOR_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """Counters of this process."""

    def __init__(self) -> None:
        """Start all at zero."""
        self.registry = CollectorRegistry()
        self._told = self.registry
        if folder := shared_counts():
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told, folder)  # type: ignore[no-untyped-call]
        self._requests = Histogram(
            "stt_request_seconds",
            "Time from request to the end of its answer.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._errors = self._counter("stt_errors", "Errors answered, by code.", "code")
        self._uploaded = self._counter("stt_upload_bytes", "Bytes of accepted recordings.")
        self._audio = self._counter("stt_audio_seconds", "Audio of accepted jobs.", "lane")
        self._jobs = self._counter("stt_jobs", "Jobs accepted here that ended.", "status")
        for status in JobStatus:
            if status.is_terminal:  # From 0 on: a rate does not see a series' first value.
                self._jobs.labels(status.value)
        self._waits = self._histogram(
            "stt_job_wait_seconds", "From acceptance to the first start.", WAIT_BUCKETS_S, "lane"
        )
        for lane in Lane:
            self._waits.labels(lane.value)
        self._runs = self._histogram(
            "stt_job_run_seconds", "From the first start to the end.", WAIT_BUCKETS_S
        )
        self._factors = self._histogram(
            "stt_job_real_time_factor", "Run time by audio time, one per job.", FACTOR_BUCKETS
        )
        self._times: dict[str, _Times] = {}

    def count_request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).observe(took_s)

    def count_error(self, code: str) -> None:
        """Count one error."""
        self._errors.labels(code).inc()

    def follow(self, job_id: str, lane: str, duration: Seconds) -> None:
        """Follow a job that this process is about to create."""
        self._times[job_id] = _Times(lane, duration)

    def accepted(self, lane: str, n_bytes: int, duration: Seconds) -> None:
        """Count a job that was created."""
        self._uploaded.inc(n_bytes)
        self._audio.labels(lane).inc(duration)

    def forget(self, job_id: str) -> None:
        """Stop following a job that could not be created."""
        self._times.pop(job_id, None)

    def on_event(self, event: Event) -> None:
        """Note the times of jobs that this process accepted, from the event stream's clock."""
        times = self._times.get(event.job_id)
        moment = event_order(event.id)
        if times is None or event.kind == "resync" or moment is None:
            return
        times.note(event.status, moment[0] / 1000)
        if event.kind == "deleted":
            self.forget(event.job_id)
        elif event.status is not None and event.status.is_terminal:
            self._ended(event.status, times)
            self.forget(event.job_id)

    def tell_also(self, figures: "SharedFigures") -> None:
        """Tell what all processes share beside what was counted."""
        self._told.register(figures)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._told)

    def _ended(self, status: JobStatus, times: "_Times") -> None:
        self._jobs.labels(status.value).inc()
        if times.started_at is None or times.ended_at is None or times.queued_at is None:
            return
        run_s = times.ended_at - times.started_at
        self._waits.labels(times.lane).observe(times.started_at - times.queued_at)
        self._runs.observe(run_s)
        if status is JobStatus.SUCCEEDED and times.duration:
            self._factors.observe(run_s / times.duration)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


@dataclass
class _Times:
    """When a job changed, in seconds of the Redis server's clock."""

    lane: str
    duration: Seconds
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    def note(self, status: JobStatus | None, at: float) -> None:
        if status is JobStatus.QUEUED and self.queued_at is None:
            self.queued_at = at
        elif status is JobStatus.PROCESSING and self.started_at is None:
            self.started_at = at
        elif status is not None and status.is_terminal:
            self.ended_at = at


class SharedFigures:
    """Reads what all processes share; a prometheus-client collector."""

    def __init__(self, queue: JobQueue, store: AudioStore) -> None:
        """Keep where to read."""
        self._queue = queue
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Read now; without Redis only `stt_redis_up 0` is told."""
        try:
            yield from self._from_redis()
            is_up = 1.0
        except QueueUnavailableError:
            is_up = 0.0
        yield GaugeMetricFamily("stt_redis_up", "Whether Redis answers.", value=is_up)
        folder = self._store.local_path("free")
        if folder is not None:
            free = shutil.disk_usage(folder.parent).free
            yield GaugeMetricFamily("stt_store_free_bytes", "Room for recordings.", value=free)

    def _from_redis(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("stt_queue_depth", "Jobs that wait.", labels=["lane"])
        for lane, n_jobs in self._queue.depth().items():
            depth.add_metric([lane.value], n_jobs)
        waiting_s = self._queue.waiting_audio_s()
        workers = self._queue.workers_alive()
        factor = self._queue.real_time_factor()
        yield depth
        yield GaugeMetricFamily("stt_queue_audio_seconds", "Audio that waits.", value=waiting_s)
        yield GaugeMetricFamily("stt_workers", "Workers alive.", value=len(workers))
        yield _per_worker("busy", "Jobs in flight.", {w.name: w.busy for w in workers})
        yield _per_worker("slots", "Jobs at most.", {w.name: w.slots for w in workers})
        fill = {w.name: w.n_windows / w.n_batches for w in workers if w.n_batches}
        yield _per_worker("batch_fill", "Windows per engine call since its start.", fill)
        if factor is not None:
            yield GaugeMetricFamily(
                "stt_real_time_factor", "Recent processing time by audio time.", value=factor
            )


def _per_worker(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"stt_worker_{name}", text, labels=["worker"])
    for worker, value in values.items():
        family.add_metric([worker], value)
    return family
