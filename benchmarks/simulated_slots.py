"""Slots of a cluster that are not there: trials that sleep, many in one process, beneath a real search.

A slot of Ray Tune is an actor, a process of a hundred megabytes; a driver that carries 512 of them would need a
cluster to be measured on. Here the driver is the real one, and so is all that it does: Tune's controller, its
placement groups on fake nodes (`ray.cluster_utils`), the calls to actors and their results, Optuna, ASHA, the
journal, the trials' files. What is called is simulated: `SlotHandle` takes the place of an actor's handle; its
calls go to a `Host`, an async actor in a process that it shares with dozens of other slots. There Tune's own
`Trainable` runs, whose epoch is a sleep; then it writes the files that a real worker writes, as large as those of
the `Template`, by the same functions.

So these are missing: a connection for each slot (here one for each host), the workers' registration with Ray's
head, their deaths, other machines' networks. The hosts, Ray's head and its fake nodes share this machine's cores
with the driver; on a cluster only the head does.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray.actor import ActorClass
from ray.tune.execution import class_cache

from medray.cluster.leaving import LeavingNodes
from medray.cluster.step_result import StepResult
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import EpochRecord
from medray.search import tune_adapters
from medray.space.search_space import Resources

ENDED = "epochs"
SPREAD = 0.3  # of the logarithm of an epoch's time from trial to trial: batch sizes and networks differ


@dataclass(frozen=True)
class Template:
    """What a simulated trial copies from a real one: its files after an epoch, and the epoch's record.

    `start_s`: the seconds that a worker takes to start.
    """

    files: dict[str, bytes]
    epoch: EpochRecord
    start_s: float


class SimulatedWorker:
    """What `medray.cluster.trial_worker.Worker` is to a real runner: a step is an epoch, whose time has passed."""

    def __init__(self, template: Template, epoch_s: float) -> None:
        self.template, self.epoch_s = template, epoch_s

    def open(self, folder: TrialDir, *_: object) -> None:
        """Take up the trial whose settings lie in `folder`."""
        self.folder, self.settings = folder, folder.read_json(TrialDir.CONFIG)
        self.records: list[EpochRecord] = []
        folder.exists(TrialDir.CHECKPOINT)
        self.noise = np.random.default_rng(self.settings["seed"])
        # As good as its learning rate is near to 0.002, and slower the further it is away.
        self.distance = abs(math.log(self.settings["learning_rate"] / 0.002))
        self.seconds = self.epoch_s * math.exp(self.noise.normal(0, SPREAD) - SPREAD**2 / 2)

    def step(self) -> StepResult:
        """Write the files of an epoch; return what a worker reports of it."""
        epoch = len(self.records) + 1
        score = float(0.95 - 0.05 * self.distance - 0.3 / (epoch + 2) + self.noise.normal(0, 0.01))
        before = self.records[-1].objective if self.records else -math.inf
        ended_by = ENDED if epoch == self.settings["epochs"] else None
        changes = {"epoch": epoch, "objective": max(score, before), "seconds": self.seconds, "ended_by": ended_by}
        self.records.append(EpochRecord.from_dict({**self.template.epoch.to_dict(), **changes}, "epoch"))
        names = [TrialDir.PREDICTIONS, TrialDir.WEIGHTS] if score > before else []
        for name in [*names, TrialDir.CHECKPOINT]:
            self.folder.write(name, self.template.files[name])
        self.folder.write_epochs(self.records)
        return StepResult(epoch, max(score, before), ended_by, seconds=self.seconds)


class SimulatedRunner(tune_adapters.TrialRunner):
    """Tune's trainable of a search, with a worker that trains nothing."""

    worker_of: SimulatedWorker

    def setup(self, config: dict[str, Any], dataset: list[Any], run: RunDir, resources: Resources) -> None:
        """Open the first trial."""
        self.worker = self.worker_of  # type: ignore[assignment]
        self.node, self.leaving = ray.get_runtime_context().get_node_id(), LeavingNodes()
        self.run_dir, self.train_split, self.val_split = run, None, None
        self.reset_config(config)


@ray.remote(num_cpus=0, max_concurrency=2000)
class Host:
    """The trainables of many slots, in one process: all wait at the same time, and write files one by one."""

    def __init__(self, template: Template, epoch_s: float) -> None:
        self.template, self.epoch_s = template, epoch_s  # the mean over trials
        self.slots: dict[int, Any] = {}

    async def start(self, slot: int, trainable: type, options: dict[str, Any]) -> bool:
        """Start a worker, which takes as long as a real one with its imports."""
        await asyncio.sleep(self.template.start_s)
        bound = type(trainable.__name__, (trainable,), {"worker_of": SimulatedWorker(self.template, self.epoch_s)})
        self.slots[slot] = bound(**options)
        return True

    async def train(self, slot: int) -> Any:
        """Let an epoch's time pass, write its files, return what Tune's trainable reports."""
        await asyncio.sleep(self.slots[slot].worker.seconds)
        return self.slots[slot].train()

    async def call(self, slot: int, method: str, *args: Any, **options: Any) -> Any:
        """Call another method of the slot's trainable."""
        return getattr(self.slots[slot], method)(*args, **options)

    async def terminate(self, slot: int) -> None:
        """End the slot's worker."""
        self.slots.pop(slot, None)


class _Method:
    """A remote method of a slot's handle."""

    def __init__(self, method: Any, *first: Any) -> None:
        self.method, self.first = method, first

    def remote(self, *args: Any, **options: Any) -> ray.ObjectRef:
        return self.method.remote(*self.first, *args, **options)


class SlotHandle:
    """What Tune takes for the handle of a slot's actor."""

    def __init__(self, host: Any, slot: int, trainable: ray.ObjectRef, options: dict[str, Any]) -> None:
        self.__ray_ready__ = _Method(host.start, slot, trainable, options)
        self.__ray_terminate__ = _Method(host.terminate, slot)
        self.train = _Method(host.train, slot)
        self._call, self._slot = host.call, slot

    def __getattr__(self, name: str) -> _Method:
        return _Method(self._call, self._slot, name)


class SlotClass(ActorClass):
    """What Tune takes for the class of its actors: a new one is a further slot of the next host."""

    def __init__(self, hosts: list[Any], trainable: type) -> None:
        self.hosts, self.trainable, self.slots = hosts, ray.put(trainable), 0

    def options(self, **_: object) -> "SlotClass":
        """Take the placement group: it is held as long as the slot is, but the slot's host lies elsewhere."""
        return self

    def remote(self, **options: Any) -> SlotHandle:
        """Return the handle of a further slot, which starts as Tune asks it whether it is ready."""
        self.slots += 1
        return SlotHandle(self.hosts[self.slots % len(self.hosts)], self.slots, self.trainable, options)


@contextmanager
def simulated_slots(template: Template, epoch_s: float, hosts: int) -> Iterator[list[Any]]:
    """Let searches use simulated slots while the context lasts, in so many processes; yields these."""
    actors = [Host.remote(template, epoch_s) for _ in range(hosts)]  # type: ignore[attr-defined]
    ray.get([actor.terminate.remote(-1) for actor in actors])
    classes: dict[type, SlotClass] = {}

    def get(_: object, trainable: type) -> SlotClass:
        if trainable not in classes:
            classes[trainable] = SlotClass(actors, trainable)
        return classes[trainable]

    kept = class_cache._ActorClassCache.get, tune_adapters.TrialRunner
    class_cache._ActorClassCache.get = get
    tune_adapters.TrialRunner = SimulatedRunner  # type: ignore[misc]
    try:
        yield actors
    finally:
        class_cache._ActorClassCache.get, tune_adapters.TrialRunner = kept  # type: ignore[misc]
        for actor in actors:
            ray.kill(actor)
