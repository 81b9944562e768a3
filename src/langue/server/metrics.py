"""`/metrics`: what was asked, how long it took, and what the models do, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

if TYPE_CHECKING:
    from langue.server.models import Models

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)  # seconds


class Metrics:
    """Counters of one server."""

    def __init__(self, models: Models) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Engines(models))
        self._answers = Counter(
            "langue_requests", "Requests answered", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "langue_request_seconds", "Time to answer", ("route",), buckets=BUCKETS, registry=self._registry
        )
        self._read = Counter("langue_prompt_tokens", "Tokens of prompts", ("model",), registry=self._registry)

        self._of_answers = cache(lambda name, status: self._answers.labels(name, str(status)))
        self._of_seconds = cache(lambda name: self._seconds.labels(name))
        self._of_read = cache(lambda model: self._read.labels(model))

    def answered(self, route: object, status: int, seconds: float) -> None:
        name = (
            route if isinstance(route, str) else "other"
        )  # a path that is no route is of whoever asks, and there are any number
        self._of_answers(name, status).inc()
        self._of_seconds(name).observe(seconds)

    def prompts(self, model: str, tokens: int) -> None:
        self._of_read(model).inc(tokens)

    def text(self) -> str:
        return generate_latest(self._registry).decode()


class _Engines:
    """What models do at this moment."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        written = CounterMetricFamily("langue_generated_tokens", "Tokens written", labels=["model"])
        running = GaugeMetricFamily("langue_texts_running", "Texts being written", labels=["model"])
        waiting = GaugeMetricFamily("langue_requests_waiting", "Requests that wait", labels=["model"])
        loaded = GaugeMetricFamily("langue_model_loaded", "Whether it is in memory", labels=["model"])
        loads = CounterMetricFamily("langue_model_loads", "Times it was loaded", labels=["model"])
        for name, one in self._models.all.items():
            engine = one.engine
            written.add_metric([name], one.written + (engine.written if engine else 0))
            running.add_metric([name], engine.writing if engine else 0)
            waiting.add_metric([name], engine.waiting if engine else 0)
            loaded.add_metric([name], one.face is not None)
            loads.add_metric([name], one.loads)
        yield from (written, running, waiting, loaded, loads)
