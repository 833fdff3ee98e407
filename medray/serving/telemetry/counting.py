"""Telemetry: what one replica counts."""

import logging
import threading
import uuid
from collections.abc import Iterable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from medray.errors import DataError
from medray.serving.telemetry import metrics
from medray.serving.telemetry.metrics import METHODS, OTHER, ROUTES, SPECS
from medray.serving.telemetry.snapshot import Snapshot
from medray.serving.telemetry.spec import Spec

MOST_SERIES = 1000  # of one metric in one replica; whatever comes later is counted as "other"
ROUNDING = 1e-5  # that a probability of float32 may exceed 1 by

log = logging.getLogger("medray.serving")

Child = TypeVar("Child", bound=MetricWrapperBase)


class _Children(dict[tuple[object, ...], Child]):
    """The series of a metric by their labels, at most MOST_SERIES and one for all others."""

    def __init__(self, metric: Child) -> None:
        super().__init__()
        self._metric: Child = metric

    def __missing__(self, labels: tuple[object, ...]) -> Child:
        if len(self) >= MOST_SERIES:
            other = (OTHER,) * len(labels)
            if not self.get(other):
                log.warning("%s has %d series; all others are counted as '%s'", self._metric, len(self), OTHER)
                self[other] = self._metric.labels(*other)
            return self[other]
        child = self[labels] = self._metric.labels(*map(_plain, labels))
        return child


def _plain(value: object) -> str:
    """A label as text that UTF-8 can hold; half a surrogate pair would spoil the whole page."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


class Telemetry:
    """What one replica counts; safe to be used by several threads, and cheap.

    `routes` and `methods` are what requests are counted by; any other is "other". All counting methods raise
    DataError for numbers that can't be, and then count nothing.
    """

    def __init__(self, routes: Iterable[str] = ROUTES, methods: Iterable[str] = METHODS) -> None:
        self._routes, self._methods = frozenset(routes), frozenset(methods)
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Histogram | Gauge] = {}
        self._source, self._sequence = uuid.uuid4().hex, 0
        self._lock = threading.Lock()
        self._entered, self._model = 0, ("", "")
        self._requests, self._errors = self._counters(metrics.REQUESTS), self._counters(metrics.ERRORS)
        self._classes, self._flags = self._counters(metrics.PREDICTIONS), self._counters(metrics.FLAGS)
        self._refusals = self._counters(metrics.REFUSALS)
        self._seconds = _Children(self._histogram(metrics.REQUEST_SECONDS))
        self._batch, self._confidence = self._histogram(metrics.BATCH), self._histogram(metrics.CONFIDENCE)
        self._queued, self._in_flight = self._gauge(metrics.QUEUED), self._gauge(metrics.IN_FLIGHT)
        self._models = self._gauge(metrics.MODEL_INFO)

    def _counters(self, spec: Spec) -> _Children[Counter]:
        metric = self._metrics[spec.name] = Counter(spec.name, spec.help, spec.labels, registry=self._registry)
        return _Children(metric)

    def _histogram(self, spec: Spec) -> Histogram:
        metric = self._metrics[spec.name] = Histogram(
            spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=self._registry
        )
        return metric

    def _gauge(self, spec: Spec) -> Gauge:
        metric = self._metrics[spec.name] = Gauge(spec.name, spec.help, spec.labels, registry=self._registry)
        return metric

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        if not 0.0 <= seconds < float("inf"):
            raise DataError(f"a request can't take {seconds} seconds")
        route = route if route in self._routes else OTHER
        method = method if method in self._methods else OTHER
        self._requests[route, method, status].inc()
        self._seconds[route,].observe(seconds)

    def predicted(self, class_name: str, confidence: float, flags: Iterable[str] = ()) -> None:
        """Count an image by its likeliest class, that one's probability, and the answer's flags."""
        if not 0.0 <= confidence <= 1.0 + ROUNDING:
            raise DataError(f"a probability must lie between 0 and 1, not be {confidence}")
        self._classes[class_name,].inc()
        self._confidence.observe(min(float(confidence), 1.0))
        for flag in flags:
            self._flags[flag,].inc()

    def batch(self, images: int) -> None:
        """Count a batch of so many images."""
        if images < 1:
            raise DataError(f"a batch has one image or more, not {images}")
        self._batch.observe(images)

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refusals[reason,].inc()

    def problem(self, kind: str) -> None:
        """Count a request that got a problem for an answer."""
        self._errors[kind,].inc()

    def queued(self, images: int) -> None:
        """Say how many images wait now."""
        self._queued.set(images)

    def entered(self) -> None:
        """Say that a request came; `left` must follow."""
        with self._lock:
            self._entered += 1
            self._in_flight.set(self._entered)

    def left(self) -> None:
        """Say that a request that came is answered."""
        with self._lock:
            self._entered -= 1
            self._in_flight.set(self._entered)

    @property
    def in_flight(self) -> int:
        """How many requests came and have not left."""
        return self._entered

    def model(self, name: str, version: str) -> None:
        """Say which model is served from now on."""
        new = (_plain(name), _plain(version))
        with self._lock:
            self._models.labels(*new).set(1)
            if self._model not in (new, ("", "")):
                self._models.remove(*self._model)
            self._model = new

    def snapshot(self) -> dict[str, Any]:
        """Return all series as plain values that JSON can hold; `source` and `sequence` say whose and which."""
        with self._lock:
            self._sequence += 1
            series = {name: spec.read(next(iter(self._metrics[name].collect()))) for name, spec in SPECS.items()}
            return Snapshot(self._source, self._sequence, series).to_dict()
