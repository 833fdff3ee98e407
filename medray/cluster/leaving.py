"""Nodes that go: Ray is told so before a spot machine is taken away, or by SIGTERM to `ray start --block`."""

import time
from datetime import datetime

from medray.cluster.ray_errors import failure_line
from medray.errors import MedrayError

LOOK_EVERY_S = 1.0
_PREEMPTED = 3  # NodeDeathInfo.Reason.AUTOSCALER_DRAIN_PREEMPTED


class LeavingNodes:
    """The ids of nodes that Ray has been told will go, and of those that went after such a notice.

    Is called for them; asks Ray's head at most once a second.
    """

    def __init__(self) -> None:
        self.ids: frozenset[str] = frozenset()
        self.looked_at = -LOOK_EVERY_S

    def __call__(self) -> frozenset[str]:
        """Return the ids, in hex."""
        if time.monotonic() - self.looked_at >= LOOK_EVERY_S:
            import ray

            gone = (node["NodeID"] for node in ray.nodes() if node.get("DeathReason") == _PREEMPTED)
            self.ids, self.looked_at = draining_nodes().union(gone), time.monotonic()
        return self.ids


def draining_nodes() -> frozenset[str]:
    """Return the ids of the nodes that are alive, but get no new work and are to go."""
    from ray._private.state import state  # as Ray Train's own watcher asks

    return frozenset(state.get_draining_nodes())


def announce(deadline: datetime) -> None:
    """Tell the Ray that this process has joined that its own node will be gone at `deadline`.

    Ray gives the node no new work from now on, and takes it away as soon as it has none.

    Raises:
        MedrayError: Ray's head does not answer.
    """
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason
    from ray.exceptions import RayError

    here = ray.get_runtime_context()
    reason, milliseconds = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), int(deadline.timestamp() * 1000)
    try:
        head = GcsClient(address=here.gcs_address)
        head.drain_node(here.get_node_id(), reason, "the machine is about to be taken away", milliseconds)
    except RayError as error:
        raise MedrayError(f"Ray's head can't be told that this node goes: {failure_line(error)}") from error
