"""When Ray Train has given up: whether another trainer goes on, and with how many workers."""

from collections.abc import Callable

from medray.cluster.connect import count_slots, why_dead
from medray.crossval.jobs import WORKER_DEATHS
from medray.space.search_space import Resources


class Restarts:
    """How many `workers` the next trainer gets, each with these `resources`; `told` hears why.

    Ray Train puts another worker in the place of one that dies while it trains. But it gives up where one dies as
    it is told to begin or to end, and where a node is gone it waits for ever for as many workers as there were.
    """

    def __init__(self, resources: Resources, workers: int, told: Callable[[str], None]) -> None:
        self.resources, self.most, self.workers, self.told = resources, workers, workers, told
        self.lost, self.epochs, self.line = 0, -1, ""

    def after(self, error: BaseException, left: int, epochs: int) -> bool:
        """Whether another trainer may do better, so many folds being left to do and so many epochs done by all.

        Not where Ray Train failed for a reason of its own, nor where more than WORKER_DEATHS trainers in a row
        lost a process without an epoch between. That there is no room is waited out.
        """
        from ray.exceptions import RayActorError
        from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

        why = cause(error)
        no_room = isinstance(why, WorkerGroupStartupTimeoutError)
        if no_room:
            what = f"no room for {self.workers} workers"
        elif isinstance(why, RayActorError | WorkerGroupStartupFailedError):
            what = f"Ray Train gave up ({why_dead(why)})"
            self.lost, self.epochs = (1 if epochs > self.epochs else self.lost + 1), epochs
            if self.lost > WORKER_DEATHS:
                return False
        else:
            return False
        slots, before = count_slots(self.resources), self.workers
        self.workers = max(1, min(self.most, slots, left))
        if not slots:
            then = "waiting for a node"
        elif no_room and self.workers == before:
            then = "waiting until others use less"
        else:
            then = f"going on with {self.workers}"
        line = f"{what}; {then}, folds left: {left}"
        if line != self.line:  # it may be long until there is room
            self.told(line)
        self.line = line
        return True


def cause(error: BaseException) -> BaseException:
    """What ended Ray Train's controller, where that is why it failed."""
    return getattr(error, "controller_failure", error)


def free_cores() -> None:
    """Give back what a trainer holds that has failed, which it does not do itself."""
    import ray
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

    job = ray.get_runtime_context().get_job_id()
    for number, group in placement_group_table().items():
        if number.endswith(job) and group["state"] != "REMOVED":  # its number ends with that of this process's job
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(number))))
