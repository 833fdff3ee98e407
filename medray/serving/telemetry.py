"""Telemetry: what a replica counts, and the sum over all replicas in Prometheus' text format.

Each replica has a Telemetry; its snapshot holds whole numbers only (sums of seconds as nanoseconds), so that
adding snapshots up never rounds, in whatever order. A Board holds the latest snapshot of each replica and all
that gone ones counted. As long as everybody reads the totals from one Board, no counter ever goes down.
"""

import logging
import operator
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from medray.errors import DataError, RunError, unknown

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MODEL = "/v2/models/{name}"
ROUTES = (
    "/", "/predict", "/metadata", "/metrics", "/docs", "/openapi.json", "/admin/ensemble", "/v2",
    "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/infer",
    *(f"{MODEL}/versions/{{version}}{end}" for end in ("", "/ready", "/infer")),
)  # fmt: skip
MOST_SERIES = 1000  # of one metric in one replica; whatever comes later is counted as "other"
KEPT = 64  # gone replicas that a late word is still expected from
ROUNDING = 1e-5  # that a probability of float32 may exceed 1 by
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
IMAGES = tuple(float(2**power) for power in range(8))
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))

log = logging.getLogger("medray.serving")

#: Of each metric the values by labels: one number, or a histogram's rising counts and then its sum.
Series = dict[str, dict[tuple[str, ...], tuple[int, ...]]]
Child = TypeVar("Child", bound=MetricWrapperBase)


@dataclass(frozen=True)
class Spec:
    """What a metric is; a histogram's sum is kept in whole numbers of 1 / `unit`."""

    name: str
    kind: type[Counter] | type[Histogram] | type[Gauge]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unit: int = 1
    add: Callable[[int, int], int] = operator.add

    @property
    def width(self) -> int:
        """How many numbers a value has: the buckets, that of infinity and the sum, or one."""
        return len(self.buckets) + 2 if self.buckets else 1

    def family(self, series: Mapping[tuple[str, ...], tuple[int, ...]]) -> Metric:
        """Return what Prometheus' library can write out."""
        if self.kind is Histogram:
            bounds = [floatToGoString(bound) for bound in (*self.buckets, float("inf"))]
            histogram = HistogramMetricFamily(self.name, self.help, labels=self.labels)
            for labels, (*counts, total) in sorted(series.items()):
                histogram.add_metric(labels, list(zip(bounds, counts, strict=True)), total / self.unit)
            return histogram
        simple = CounterMetricFamily if self.kind is Counter else GaugeMetricFamily
        family = simple(self.name, self.help, labels=self.labels)
        for labels, (value,) in sorted(series.items()):
            family.add_metric(labels, value)
        return family

    def read(self, family: Metric) -> dict[tuple[str, ...], tuple[int, ...]]:
        """Return whole numbers of what Prometheus' library collected."""
        found: dict[tuple[str, ...], list[int]] = {}
        for sample in family.samples:
            values = found.setdefault(tuple(sample.labels[label] for label in self.labels), [])
            if sample.name.endswith("_sum"):
                values.append(round(sample.value * self.unit))
            elif not sample.name.endswith(("_created", "_count")):
                values.append(int(sample.value))
        return {labels: tuple(values) for labels, values in found.items()}


BILLION = 10**9
REQUESTS = Spec("medray_requests_total", Counter, "Requests answered.", ("route", "method", "status"))
ERRORS = Spec("medray_errors_total", Counter, "Requests answered by a problem, by its kind.", ("problem",))
REQUEST_SECONDS = Spec(
    "medray_request_seconds", Histogram, "Seconds until the end of an answer.", ("route",), SECONDS, BILLION
)
BATCH = Spec("medray_batch_images", Histogram, "Images computed at once.", (), IMAGES)
PREDICTIONS = Spec("medray_predictions_total", Counter, "Images by their likeliest class.", ("class",))
CONFIDENCE = Spec("medray_confidence", Histogram, "Probability of the likeliest class.", (), TENTHS, BILLION)
FLAGS = Spec("medray_flags_total", Counter, "Flags that answers carried.", ("flag",))
REFUSALS = Spec("medray_refusals_total", Counter, "What was refused, by the reason.", ("reason",))
QUEUED = Spec("medray_queued_images", Gauge, "Images that wait to be computed.")
IN_FLIGHT = Spec("medray_in_flight", Gauge, "Requests being answered.")
MODEL_INFO = Spec("medray_model_info", Gauge, "1 for each model served.", ("name", "version"), add=max)
_ALL = (
    REQUESTS, ERRORS, REQUEST_SECONDS, BATCH, PREDICTIONS, CONFIDENCE, FLAGS, REFUSALS, QUEUED, IN_FLIGHT,
    MODEL_INFO,
)  # fmt: skip
SPECS = {spec.name: spec for spec in _ALL}


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
        self._requests, self._errors = self._counters(REQUESTS), self._counters(ERRORS)
        self._classes, self._flags = self._counters(PREDICTIONS), self._counters(FLAGS)
        self._refusals = self._counters(REFUSALS)
        self._seconds = _Children(self._histogram(REQUEST_SECONDS))
        self._batch, self._confidence = self._histogram(BATCH), self._histogram(CONFIDENCE)
        self._queued, self._in_flight = self._gauge(QUEUED), self._gauge(IN_FLIGHT)
        self._models = self._gauge(MODEL_INFO)

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
            return _Snapshot(self._source, self._sequence, series).to_dict()


@dataclass(frozen=True)
class _Snapshot:
    """A replica's series; `source` is of one life of it, `sequence` rises."""

    source: str
    sequence: int
    series: Series

    def to_dict(self) -> dict[str, Any]:
        series = {
            name: [[list(labels), list(values)] for labels, values in own.items()]
            for name, own in self.series.items()
        }
        return {"source": self.source, "sequence": self.sequence, "series": series}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "_Snapshot":
        """Restore what `to_dict` returned, or raise a DataError."""
        try:
            source, sequence, series = (content[key] for key in ("source", "sequence", "series"))
            if not (isinstance(source, str) and isinstance(sequence, int)):
                raise TypeError("its source or sequence")
            if missing := SPECS.keys() - series.keys():
                raise DataError(f"damaged snapshot of metrics: it lacks {', '.join(sorted(missing))}")
            return cls(source, sequence, {name: _read_metric(name, own) for name, own in series.items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"damaged snapshot of metrics: {type(error).__name__}: {error}") from None


def _read_metric(name: str, entries: Iterable[Any]) -> dict[tuple[str, ...], tuple[int, ...]]:
    if name not in SPECS:
        raise DataError(unknown("metric", name, SPECS))
    spec, found = SPECS[name], {}
    for labels, values in entries:
        words = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if not words or len(labels) != len(spec.labels) or tuple(labels) in found:
            raise ValueError(f"labels of {name}")
        whole = all(type(value) is int and (value >= 0 or spec.kind is Gauge) for value in values)
        if len(values) != spec.width or not whole:
            raise ValueError(f"values of {name}")
        found[tuple(labels)] = tuple(values)
    return found


def _sum(parts: Iterable[Series]) -> Series:
    total: Series = {name: {} for name in SPECS}
    for part in parts:
        for name, spec in SPECS.items():
            own = total[name]
            for labels, values in part[name].items():
                before = own.get(labels)
                own[labels] = tuple(map(spec.add, before, values)) if before else values
    return total


class _Totals(Collector):
    """What Prometheus' library asks for the metrics to write out."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def collect(self) -> Iterator[Metric]:
        for name, spec in SPECS.items():
            yield spec.family(self._series[name])


def render(snapshots: Iterable[Mapping[str, Any]]) -> bytes:
    """Write the sum of snapshots as Prometheus' text format 0.0.4, in UTF-8; models are listed, not added.

    Raises:
        DataError: one of them is damaged, or of another version of this library.
    """
    registry = CollectorRegistry()
    registry.register(_Totals(_sum(_Snapshot.from_dict(snapshot).series for snapshot in snapshots)))
    return generate_latest(registry)


class Board:
    """The latest snapshot of each replica by its name, and what gone ones counted; safe to be used by threads.

    Each life of a replica counts once, whatever comes late, twice or in another order: its last snapshot is
    kept apart for a while after it went, in case that was not the last. A replica that starts anew under its
    old name is a new life, and what the old one counted stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, str] = {}  # name -> source
        self._known: dict[str, _Snapshot] = {}  # by source, of live replicas and of those that went lately
        self._folded: set[str] = set()
        self._base: Series = _sum([])

    def put(self, name: str, snapshot: Mapping[str, Any]) -> None:
        """Take a replica's snapshot; one that is older than what is known changes nothing.

        Raises:
            DataError: it is damaged.
            RunError: it is of a replica that went so long ago that it can't be told from the rest.
        """
        new = _Snapshot.from_dict(snapshot)
        with self._lock:
            if new.source in self._folded:
                raise RunError(f"replica '{name}' was retired long ago; it must start anew to be counted")
            known = self._known.get(new.source)
            if known is not None and known.sequence >= new.sequence:
                return
            if known is None or name not in self._live:  # a late word of a former life does not displace the new
                self._leave(name)
                self._live[name] = new.source
            self._known[new.source] = new
            self._fold()

    def retire(self, name: str) -> None:
        """Let a replica go: what it counted stays in the totals, its gauges do not.

        Raises:
            RunError: there is no such replica.
        """
        with self._lock:
            if name not in self._live:
                raise RunError(unknown("replica", name, self._live))
            self._leave(name)
            self._fold()

    def snapshots(self) -> list[dict[str, Any]]:
        """Return the live replicas' snapshots, and before them one of all that went, if any did."""
        with self._lock:
            live = [self._known[source] for source in dict.fromkeys(self._live.values())]
            gone = [self._known[source].series for source in self._gone()]
            if gone or self._folded:
                series = _sum([self._base, *map(_counted, gone)])
                live.insert(0, _Snapshot("gone", 0, series))
            return [snapshot.to_dict() for snapshot in live]

    def _gone(self) -> list[str]:
        """The sources that are no live replica's, first the one that went first."""
        live = set(self._live.values())
        return [source for source in self._known if source not in live]

    def _leave(self, name: str) -> None:
        source = self._live.pop(name, None)
        if source is not None:
            self._known[source] = self._known.pop(source)  # it went last

    def _fold(self) -> None:
        for source in self._gone()[:-KEPT]:
            self._base = _sum([self._base, _counted(self._known.pop(source).series)])
            self._folded.add(source)


def _counted(series: Series) -> Series:
    """The series without gauges, which say nothing of a replica that is gone."""
    return {name: {} if SPECS[name].kind is Gauge else own for name, own in series.items()}
