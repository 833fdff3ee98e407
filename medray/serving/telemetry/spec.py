"""Spec: what a metric is, and its values as whole numbers."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

#: Of each metric the values by labels: one number, or a histogram's rising counts and then its sum.
Series = dict[str, dict[tuple[str, ...], tuple[int, ...]]]


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
