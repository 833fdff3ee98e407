"""What a cluster has, and how many trials or folds run on it side by side."""

import time
from dataclasses import dataclass

from medray._types import Progress
from medray.cluster.leaving import draining_nodes
from medray.errors import ConfigError, MedrayError
from medray.space.search_space import Resources

GPU_WAIT_S, POLL_S = 1800.0, 1.0


@dataclass(frozen=True)
class Capacity:
    """The cores and GPUs of a cluster, what one trial takes, and how many trials run side by side (`slots`).

    `started_here`: the Ray is this command's own; it stays on this machine and ends with the command.
    """

    cpus: float
    gpus: float
    resources: Resources
    slots: int
    nodes: int
    started_here: bool

    def describe(self, jobs: str = "trials") -> str:
        """Return a line for people; `jobs` names what runs side by side."""
        gpus = f", {self.gpus:g} GPUs" if self.gpus else ", no GPU"
        workers = self.resources.workers
        together = f", each by {workers} processes" if workers > 1 else ""
        return f"{self.cpus:g} CPU cores{gpus}: {self.slots} {jobs} side by side{together}"


def find_capacity(resources: Resources, space_path: str, *, started_here: bool) -> Capacity:
    """Return what the cluster has; where it has no GPU, a trial that asks for some takes none and is one process.

    Raises:
        ConfigError: a trial needs more `resources` than the largest node has.
    """
    nodes = _nodes()
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    if resources.gpu and not gpus:
        resources = Resources(resources.cpu, 0.0)
    for kind, need in (("cpu", resources.cpu), ("gpu", resources.gpu)):
        largest = max((node.get(kind.upper(), 0.0) for node in nodes), default=0.0)  # all may be about to go
        if need > largest:
            raise ConfigError(
                f"{space_path}: resources.{kind}: a trial wants {need:g}, the largest node of this cluster has "
                f"{largest:g}{'' if largest else '; a cluster whose workers are yet to come needs --min-gpus'}"
            )
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    return Capacity(cpus, gpus, resources, count_slots(resources), len(nodes), started_here)


def count_slots(resources: Resources) -> int:
    """Return how many trials fit on the nodes of this moment; nodes come and go."""
    slots = 0
    for node in _nodes():
        by_cpu = int(node.get("CPU", 0.0) / resources.cpu)
        by_gpu = int(node.get("GPU", 0.0) / resources.gpu + 1e-9) if resources.gpu else by_cpu
        slots += min(by_cpu, by_gpu)
    return slots


def wait_for_gpus(count: int, progress: Progress) -> None:
    """Wait until the cluster has `count` GPUs; one that grows is asked for them.

    A cluster that starts without workers has no GPU to be counted, and nothing would ever ask for one.

    Raises:
        MedrayError: they do not come within `GPU_WAIT_S`.
    """
    from ray.util.placement_group import placement_group, remove_placement_group

    end = time.monotonic() + GPU_WAIT_S
    # The autoscaler looks for such demands, and unlike its own requests they end with this process.
    demands = [placement_group([{"GPU": 1}]) for _ in range(count)]
    try:
        while (present := sum(node.get("GPU", 0.0) for node in _nodes())) < count:
            progress("GPUs", int(present), count)
            if time.monotonic() > end:
                raise MedrayError(
                    f"--min-gpus {count}: this cluster has {present:g} after {GPU_WAIT_S / 60:.0f} minutes; "
                    "`ray status` tells what it waits for"
                )
            time.sleep(POLL_S)
    finally:
        for demand in demands:
            remove_placement_group(demand)


def _nodes() -> list[dict[str, float]]:
    import ray

    draining = draining_nodes()  # these get no new work
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining]
