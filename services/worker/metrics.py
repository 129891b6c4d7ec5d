"""The worker's own /metrics, read from the engine when somebody asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from services.worker.served_models import ServedModels


class EngineCollector(Collector):
    """Batches, windows and busy seconds of the current engine."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        engine = self._models.engine
        figures = engine.statistics
        for name, text, value in (
            ("stt_engine_batches", "Engine calls.", figures.n_batches),
            (
                "stt_engine_windows",
                "Windows decoded; by batches gives the fill.",
                figures.n_windows,
            ),
            ("stt_engine_busy_seconds", "Time in engine calls, all threads.", figures.busy_s),
        ):
            family = CounterMetricFamily(name, text, labels=["bundle"])
            family.add_metric([engine.model.bundle.id], value)
            yield family


def serve(port: int, models: ServedModels) -> None:
    """Answer on this port, from a thread of its own; 0 serves nothing."""
    if port:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(EngineCollector(models))
        start_http_server(port, registry=registry)
