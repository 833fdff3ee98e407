"""Totals: the metrics of all replicas of a service added up, those that are gone included."""

import copy
import threading
from collections.abc import Iterable
from fractions import Fraction

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from medray.errors import RunError, unknown_choice_line
from medray.serving.telemetry.replica_metrics import Snapshot

KEPT = 64  # gone replicas of which a late snapshot may still come
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sum(Collector):
    """Adds up samples of the same name and labels, exactly: the order of additions changes no bit."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}  # without samples
        self._values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], Fraction]] = {}

    def add(self, metrics: Iterable[Metric], *, is_gone: bool = False) -> None:
        """Add a replica's metrics, without the gauges of one that is gone; models are listed, not added."""
        for metric in metrics:
            self._families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            values = self._values.setdefault(metric.name, {})
            if is_gone and metric.type in ("gauge", "info"):
                continue
            for sample in metric.samples:
                key, value = (sample.name, tuple(sorted(sample.labels.items()))), Fraction(sample.value)
                values[key] = value if metric.type == "info" else values.get(key, Fraction(0)) + value

    def collect(self) -> list[Metric]:
        """Return the sums as metrics, each sorted by labels; the buckets of a histogram keep their order."""
        metrics = []
        for name, family in self._families.items():
            metric = copy.copy(family)
            metric.samples = []
            for (sample, labels), value in sorted(
                self._values[name].items(), key=lambda item: [pair for pair in item[0][1] if pair[0] != "le"]
            ):
                metric.add_sample(sample, dict(labels), float(value))
            metrics.append(metric)
        return metrics


def render(metrics: Iterable[Metric]) -> bytes:
    """Write metrics as Prometheus' text format 0.0.4, in UTF-8."""
    total, registry = Sum(), CollectorRegistry()
    total.add(metrics)
    registry.register(total)
    return generate_latest(registry)


class Totals:
    """The latest snapshot of each replica by its name, and the counts of replicas that are gone; thread-safe.

    Each process of a replica counts once, whatever comes late, twice or in another order: its last snapshot is
    kept apart for a while after it went, in case that was not the last. A replica that is restarted under its
    name is a new process, and the old one's counts stay. So no counter ever goes down.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, str] = {}  # name -> source
        self._known: dict[str, Snapshot] = {}  # by source, of live replicas and of those that went lately
        self._folded: set[str] = set()
        self._base = Sum()

    def put(self, name: str, snapshot: Snapshot) -> None:
        """Take a replica's snapshot; one that is older than the latest changes nothing.

        Raises:
            RunError: it is of a replica that went so long ago that its counts can't be told from the rest.
        """
        with self._lock:
            if snapshot.source in self._folded:
                raise RunError(f"replica '{name}' was retired long ago; it must start anew to be counted")
            known = self._known.get(snapshot.source)
            if known is not None and known.sequence >= snapshot.sequence:
                return
            if known is None or name not in self._live:  # a late snapshot of a former process displaces nothing
                self._leave(name)
                self._live[name] = snapshot.source
            self._known[snapshot.source] = snapshot
            self._fold()

    def retire(self, name: str) -> None:
        """Remove a replica: its counts stay in the totals, its gauges do not.

        Raises:
            RunError: there is no such replica.
        """
        with self._lock:
            if name not in self._live:
                raise RunError(unknown_choice_line("replica", name, self._live))
            self._leave(name)
            self._fold()

    def metrics(self) -> list[Metric]:
        """Return the sums over all replicas, and over the counts of those that are gone."""
        with self._lock:
            total, gone = copy.deepcopy(self._base), set(self._gone())
            for source, snapshot in self._known.items():
                total.add(snapshot.metrics, is_gone=source in gone)
        return total.collect()

    def _gone(self) -> list[str]:
        """The sources of no live replica, the one that went first before the others."""
        live = set(self._live.values())
        return [source for source in self._known if source not in live]

    def _leave(self, name: str) -> None:
        source = self._live.pop(name, None)
        if source is not None:
            self._known[source] = self._known.pop(source)  # the last in _gone

    def _fold(self) -> None:
        for source in self._gone()[:-KEPT]:
            self._base.add(self._known.pop(source).metrics, is_gone=True)
            self._folded.add(source)
