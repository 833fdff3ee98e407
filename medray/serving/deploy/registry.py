"""ServiceBoard: what the replicas of one service know of one another. A Ray actor holds it; it knows no Ray."""

import time
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.metrics_core import Metric

from medray.serving.telemetry.replica_metrics import Snapshot
from medray.serving.telemetry.totals import Totals

GONE_AFTER = 60.0  # seconds without a word; replicas report once a second


@dataclass
class _Replica:
    version: str
    in_flight: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # version -> why it could not be loaded
    seen: float = field(default_factory=time.monotonic)


class ServiceBoard:
    """The ensemble that all should serve, the one before it, who serves what, and everybody's metrics."""

    def __init__(self) -> None:
        self._given: dict[str, str] | None = None
        self._target: dict[str, str] | None = None
        self._previous: dict[str, str] | None = None
        self._draining = False
        self._replicas: dict[str, _Replica] = {}
        self._totals = Totals()

    def join(self, given: dict[str, str]) -> dict[str, str]:
        """Tell a new replica what to serve; `given` is what it was deployed with.

        That holds until another ensemble is offered. Who was deployed with something new brings it to all.
        """
        if self._target is None or given != self._given:
            self._given, self._target = given, given
        return self._target

    def report(self, name: str, version: str, in_flight: int, snapshot: Snapshot) -> dict[str, Any]:
        """Take a replica's word, and tell it what to serve and whether the service ends."""
        replica = self._replicas.setdefault(name, _Replica(version))
        replica.version, replica.in_flight, replica.seen = version, in_flight, time.monotonic()
        self._totals.put(name, snapshot)
        self._forget_the_gone()
        return {"target": self._target, "draining": self._draining}

    def leave(self, name: str) -> None:
        """Forget a replica that ends; what it counted stays counted."""
        if self._replicas.pop(name, None) is not None:
            self._totals.retire(name)

    def failed(self, name: str, version: str, reason: str) -> None:
        """Note that a replica could not load a version."""
        if name in self._replicas:
            self._replicas[name].failed[version] = reason

    def offer(self, target: dict[str, str]) -> None:
        """Have all replicas serve another ensemble: its `location` and `version`."""
        if self._target is not None and target != self._target:
            self._previous = self._target
        self._target = target
        for replica in self._replicas.values():
            replica.failed.pop(target["version"], None)

    def drain(self) -> None:
        """Tell all replicas that the service ends."""
        self._draining = True

    def state(self) -> dict[str, Any]:
        """Who serves what: `target`, `previous`, and of each replica version, in_flight and failed."""
        self._forget_the_gone()
        return {
            "target": self._target,
            "previous": self._previous,
            "replicas": {
                name: {"version": one.version, "in_flight": one.in_flight, "failed": dict(one.failed)}
                for name, one in self._replicas.items()
            },
        }

    def all_metrics(self, name: str, snapshot: Snapshot) -> list[Metric]:
        """Return the metrics summed over all replicas; `snapshot` is the latest of one of them."""
        self._totals.put(name, snapshot)
        return self._totals.metrics()

    def _forget_the_gone(self) -> None:
        now = time.monotonic()
        for name in [name for name, one in self._replicas.items() if now - one.seen > GONE_AFTER]:
            self.leave(name)
