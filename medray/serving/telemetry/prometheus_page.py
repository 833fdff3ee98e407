"""The page that Prometheus reads: the sum of snapshots in its text format."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from medray.serving.telemetry.metrics import SPECS
from medray.serving.telemetry.snapshot import Snapshot, add_up
from medray.serving.telemetry.spec import Series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
    registry.register(_Totals(add_up(Snapshot.from_dict(snapshot).series for snapshot in snapshots)))
    return generate_latest(registry)
