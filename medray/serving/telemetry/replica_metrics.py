"""Telemetry: the metrics of one replica, in a registry of Prometheus' own client."""

import logging
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from medray.errors import DataError

OTHER = "other"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
IMAGES = tuple(float(2**power) for power in range(8))
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
MAX_SERIES = 1000  # of one metric in one replica; later label values are counted as "other"
ROUNDING = 1e-5  # that a probability of float32 may exceed 1 by

log = logging.getLogger("medray.serving")

Child = TypeVar("Child", bound=MetricWrapperBase)


@dataclass(frozen=True)
class Snapshot:
    """A replica's metrics at one moment; `source` identifies the replica's process, `sequence` rises in it."""

    source: str
    sequence: int
    metrics: tuple[Metric, ...]


class _BoundedSeries(dict[tuple[object, ...], Child]):
    """The series of a metric by their label values: at most MAX_SERIES, and one for all others."""

    def __init__(self, metric: Child) -> None:
        super().__init__()
        self._metric: Child = metric

    def __missing__(self, labels: tuple[object, ...]) -> Child:
        if len(self) >= MAX_SERIES:
            other = (OTHER,) * len(labels)
            if not self.get(other):
                log.warning("%s has %d series; all others are counted as '%s'", self._metric, len(self), OTHER)
                self[other] = self._metric.labels(*other)
            return self[other]
        child = self[labels] = self._metric.labels(*map(_encodable, labels))
        return child


def _encodable(value: object) -> str:
    """A label value as text that UTF-8 can hold; a lone surrogate would spoil the whole page."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


class Telemetry:
    """The metrics of one replica; thread-safe and cheap.

    Methods that count raise DataError for an impossible number, and then count nothing.
    """

    def __init__(self) -> None:
        self._source, self._sequence, self._lock = uuid.uuid4().hex, 0, threading.Lock()
        self._model: Info | None = None

        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> _BoundedSeries[Counter]:
            return _BoundedSeries(Counter(name, text, labels, registry=registry))

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self._requests = counter("medray_requests_total", "Requests answered.", "route", "method", "status")
        self._errors = counter("medray_errors_total", "Requests answered by a problem, by its kind.", "problem")
        self._seconds = _BoundedSeries(
            histogram("medray_request_seconds", "Seconds until the end of an answer.", SECONDS, "route")
        )
        self._batch = histogram("medray_batch_images", "Images computed at once.", IMAGES)
        self._classes = counter(
            "medray_predictions_total", "Answers by their likeliest class, or each label called.", "class"
        )
        self._case = histogram("medray_case_images", "Images that were answered as one case.", IMAGES)
        self._confidence = histogram("medray_confidence", "Probability of the likeliest class or label.", TENTHS)
        self._flags = counter("medray_flags_total", "Flags that answers carried.", "flag")
        self._refusals = counter("medray_refusals_total", "What was refused, by the reason.", "reason")
        self._queued = Gauge("medray_queued_images", "Images that wait to be computed.", registry=registry)
        self._in_flight = Gauge("medray_in_flight", "Requests being answered.", registry=registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is the pattern of its path, never what a client wrote."""
        if not 0.0 <= seconds < float("inf"):
            raise DataError(f"a request can't take {seconds} seconds")
        self._requests[route, method if method in METHODS else OTHER, status].inc()
        self._seconds[route,].observe(seconds)

    def predicted(self, class_name: str, confidence: float, flags: Iterable[str] = ()) -> None:
        """Count an answer by its likeliest class, the probability of that class, and the answer's flags."""
        self.labelled([class_name], confidence, flags)

    def labelled(self, called: Iterable[str], confidence: float, flags: Iterable[str] = ()) -> None:
        """Count an answer by each label called, the probability of the likeliest one, and the answer's flags."""
        if not 0.0 <= confidence <= 1.0 + ROUNDING:
            raise DataError(f"a probability must lie between 0 and 1, not be {confidence}")
        for label in called:
            self._classes[label,].inc()
        self._confidence.observe(min(float(confidence), 1.0))
        for flag in flags:
            self._flags[flag,].inc()

    def batch(self, images: int) -> None:
        """Count a batch of `images`."""
        if images < 1:
            raise DataError(f"a batch has one image or more, not {images}")
        self._batch.observe(images)

    def case(self, images: int) -> None:
        """Count a case of `images` that had one answer."""
        if images < 1:
            raise DataError(f"a case has one image or more, not {images}")
        self._case.observe(images)

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refusals[reason,].inc()

    def problem(self, kind: str) -> None:
        """Count a request that was answered by a problem document."""
        self._errors[kind,].inc()

    def queued(self, images: int) -> None:
        """Set how many images wait now."""
        self._queued.set(images)

    def entered(self) -> None:
        """Count a request that has arrived; `left` must follow."""
        self._in_flight.inc()

    def left(self) -> None:
        """Count down a request that has been answered."""
        self._in_flight.dec()

    @property
    def in_flight(self) -> int:
        """The number of requests that have arrived and are not yet answered."""
        return int(self._registry.get_sample_value("medray_in_flight") or 0)

    def model(self, name: str, version: str) -> None:
        """Set which model is served from now on."""
        with self._lock:
            if self._model is None:
                self._model = Info("medray_model", "1 for each model served.", registry=self._registry)
            self._model.info({"name": _encodable(name), "version": _encodable(version)})

    def snapshot(self) -> Snapshot:
        """Return all metrics as they are now."""
        with self._lock:
            self._sequence += 1
            metrics = tuple(self._registry.collect())
            for metric in metrics:
                metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            return Snapshot(self._source, self._sequence, metrics)
