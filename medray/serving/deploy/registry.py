"""ServiceRegistry: a service's replicas and their ensemble. A Ray actor holds it; it knows no Ray."""

import copy
import time
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric

from medray.serving.telemetry.replica_metrics import Snapshot
from medray.serving.telemetry.totals import Totals

GONE_AFTER = 60.0  # seconds without a report; replicas report once a second


@dataclass(frozen=True)
class Target:
    """An ensemble to serve: its folder, and the version that it must still be."""

    location: str
    version: str


@dataclass
class ReplicaState:
    """A replica as it reported last; `failures` says why it could not load a version."""

    version: str
    in_flight: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    reported: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class ServiceState:
    """The ensemble that all should serve, the one before it, and the replicas by their names."""

    target: Target | None
    previous: Target | None
    replicas: dict[str, ReplicaState]


@dataclass(frozen=True)
class Instructions:
    """The ensemble that a replica should serve, and whether the service ends."""

    target: Target | None
    draining: bool


class ServiceRegistry:
    """Knows the ensemble that all should serve, the one before it, which replica serves which, and all metrics."""

    def __init__(self) -> None:
        self._deployed: Target | None = None
        self._target: Target | None = None
        self._previous: Target | None = None
        self._draining = False
        self._replicas: dict[str, ReplicaState] = {}
        self._totals = Totals()

    def join(self, deployed: Target) -> Target:
        """Return the ensemble that a new replica should serve; `deployed` is the one it was deployed with.

        That one holds until another ensemble is offered. A replica deployed with a new one brings it to all.
        """
        if self._target is None or deployed != self._deployed:
            self._deployed, self._target = deployed, deployed
        return self._target

    def report(self, name: str, version: str, in_flight: int, snapshot: Snapshot) -> Instructions:
        """Note a replica's state and metrics, and return its instructions."""
        replica = self._replicas.setdefault(name, ReplicaState(version))
        replica.version, replica.in_flight, replica.reported = version, in_flight, time.monotonic()
        self._totals.put(name, snapshot)
        self._remove_silent()
        return Instructions(self._target, self._draining)

    def leave(self, name: str) -> None:
        """Remove a replica that ends; its counts stay."""
        if self._replicas.pop(name, None) is not None:
            self._totals.retire(name)

    def failed(self, name: str, version: str, reason: str) -> None:
        """Note that a replica could not load a version."""
        if name in self._replicas:
            self._replicas[name].failures[version] = reason

    def offer(self, target: Target) -> None:
        """Have all replicas serve another ensemble."""
        if self._target is not None and target != self._target:
            self._previous = self._target
        self._target = target
        for replica in self._replicas.values():
            replica.failures.pop(target.version, None)

    def drain(self) -> None:
        """Tell all replicas that the service ends."""
        self._draining = True

    def state(self) -> ServiceState:
        """Return the state of the service; later reports don't change it."""
        self._remove_silent()
        return copy.deepcopy(ServiceState(self._target, self._previous, self._replicas))

    def all_metrics(self, name: str, snapshot: Snapshot) -> list[Metric]:
        """Return the metrics summed over all replicas; `snapshot` is the latest of one of them."""
        self._totals.put(name, snapshot)
        return self._totals.metrics()

    def _remove_silent(self) -> None:
        now = time.monotonic()
        for name in [name for name, replica in self._replicas.items() if now - replica.reported > GONE_AFTER]:
            self.leave(name)
