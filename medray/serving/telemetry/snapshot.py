"""Snapshot: a replica's series at one moment, as plain values; and the sum of several."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge

from medray.errors import DataError, unknown
from medray.serving.telemetry.metrics import SPECS
from medray.serving.telemetry.spec import Series


@dataclass(frozen=True)
class Snapshot:
    """A replica's series; `source` is of one life of it, `sequence` rises."""

    source: str
    sequence: int
    series: Series

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold."""
        series = {
            name: [[list(labels), list(values)] for labels, values in own.items()]
            for name, own in self.series.items()
        }
        return {"source": self.source, "sequence": self.sequence, "series": series}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Snapshot":
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


def add_up(parts: Iterable[Series]) -> Series:
    """Add all values up; of models the greater counts."""
    total: Series = {name: {} for name in SPECS}
    for part in parts:
        for name, spec in SPECS.items():
            own = total[name]
            for labels, values in part[name].items():
                before = own.get(labels)
                own[labels] = tuple(map(spec.add, before, values)) if before else values
    return total


def without_gauges(series: Series) -> Series:
    """The series without gauges, which say nothing of a replica that is gone."""
    return {name: {} if SPECS[name].kind is Gauge else own for name, own in series.items()}
