"""When Ray Train has given up: whether another trainer goes on, and with how many workers."""

from collections.abc import Callable

from medray.cluster.capacity import count_slots
from medray.cluster.ray_errors import failure_line, is_preemption
from medray.crossval.jobs import WORKER_DEATHS
from medray.space.search_space import Resources


class Restarts:
    """How many `workers` the next trainer gets, each with these `resources`; `report` gets a line that says why.

    Ray Train puts another worker in the place of one that dies while it trains. But it gives up where one dies as
    it is told to begin or to end, and where a node is gone it waits for ever for as many workers as there were.
    """

    def __init__(self, resources: Resources, workers: int, report: Callable[[str], None]) -> None:
        self.resources, self.max_workers, self.workers, self.report = resources, workers, workers, report
        self.deaths, self.epochs, self.last_line = 0, -1, ""

    def after(self, error: BaseException, left: int, epochs: int) -> bool:
        """Return whether to start another trainer. `left`: folds not finished; `epochs`: done by all so far.

        Not where Ray Train failed for a reason of its own, nor where more than WORKER_DEATHS trainers in a row
        lost a process without an epoch between, other than by a preemption. A lack of room is waited out.
        """
        from ray.exceptions import RayActorError
        from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

        error = controller_error(error)
        no_room = isinstance(error, WorkerGroupStartupTimeoutError)
        if no_room:
            reason = f"no room for {self.workers} workers"
        elif isinstance(error, RayActorError | WorkerGroupStartupFailedError):
            reason = f"Ray Train gave up ({failure_line(error)})"
            if not is_preemption(error):
                self.deaths, self.epochs = (1 if epochs > self.epochs else self.deaths + 1), epochs
            if self.deaths > WORKER_DEATHS:
                return False
        else:
            return False
        self._resize(reason, left, no_room=no_room)
        return True

    def after_notice(self, left: int) -> None:
        """Prepare another trainer, as the last one ended because a node of its workers is about to go."""
        self._resize("a node is about to go", left)

    def _resize(self, reason: str, left: int, *, no_room: bool = False) -> None:
        slots, before = count_slots(self.resources), self.workers
        self.workers = max(1, min(self.max_workers, slots, left))
        if not slots:
            action = "waiting for a node"
        elif no_room and self.workers == before:
            action = "waiting until others use less"
        else:
            action = f"going on with {self.workers}"
        line = f"{reason}; {action}, folds left: {left}"
        if line != self.last_line:  # it may be long until there is room
            self.report(line)
        self.last_line = line


def controller_error(error: BaseException) -> BaseException:
    """Return the error that ended Ray Train's controller if that is why it failed, else `error` itself."""
    return getattr(error, "controller_failure", error)


def free_cores() -> None:
    """Give back the cores of this process's trainers, which one that has failed does not do itself."""
    import ray
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

    job = ray.get_runtime_context().get_job_id()
    for group_id, group in placement_group_table().items():
        if group_id.endswith(job) and group["state"] != "REMOVED":  # an id ends with that of its process's job
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group_id))))
