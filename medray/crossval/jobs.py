"""JobQueue: which settings on which folds are left, and which worker has which; a small actor for all workers."""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from medray.cluster.step_result import StepResult
from medray.runs.trial_record import TrialRecord

WORKER_DEATHS = 3  # in a row, without an epoch between them, before a fold is given up


@dataclass(frozen=True)
class Job:
    """One training: the settings of a trial on one fold."""

    trial: int
    fold: int


@dataclass(frozen=True)
class JobStarted:
    """A worker has taken the job."""

    job: Job


@dataclass(frozen=True)
class JobEpoch:
    """An epoch of the job is done, which was not its last."""

    job: Job
    result: StepResult


@dataclass(frozen=True)
class JobEnded:
    """The job has ended, and its files are written."""

    job: Job
    record: TrialRecord


Event = JobStarted | JobEpoch | JobEnded


class JobQueue:
    """Hands out jobs, one to a worker at a time, and collects what the workers report.

    Ray Train restarts all its workers when one dies. Each then asks with `begin`, and gets the job back that
    it held. Before other workers begin, perhaps fewer, `release` takes back what the last ones held.

    `leaving` gives the ids of nodes that are about to go, or went after a notice. Where one has a worker, all
    workers end after their present epochs, since Ray Train would restart them all amid an epoch, and no job is
    said to have lost its worker by a death.
    """

    def __init__(self, jobs: list[Job], leaving: Callable[[], Collection[str]] = tuple) -> None:
        self.waiting = deque(jobs)
        self.held: dict[int, Job] = {}
        self.nodes: dict[int, str] = {}  # of the present workers
        self.deaths: dict[Job, int] = {}
        self.events: list[Event] = []
        self.leaving, self.preempted, self.stopped = leaving, False, False

    def begin(self, rank: int, node: str) -> tuple[Job | None, int]:
        """Give a worker that has just started on a node its job, and how often workers died on it in a row."""
        if rank in self.nodes:  # all workers are new ones
            self.preempted = self._loses_node()
            self.nodes.clear()
        self.nodes[rank] = node
        job = self.held.get(rank)
        if job is None or self.stopped:
            job = self.next(rank)
        elif not self.preempted:
            self.deaths[job] = self.deaths.get(job, 0) + 1
        return job, self.deaths.get(job, 0) if job else 0

    def release(self) -> None:
        """Take back the jobs of workers that have all died, or ended as a node is about to go."""
        preempted = self._loses_node()
        for job in reversed(self.held.values()):
            if not preempted:
                self.deaths[job] = self.deaths.get(job, 0) + 1
            self.waiting.appendleft(job)
        self.held.clear()
        self.nodes.clear()

    def _loses_node(self) -> bool:
        return not set(self.leaving()).isdisjoint(self.nodes.values())

    def next(self, rank: int) -> Job | None:
        """Give a worker its next job; None when there are none left, or it is time to end."""
        self.held.pop(rank, None)
        if self.stopped or not self.waiting or self._loses_node():
            return None
        job = self.held[rank] = self.waiting.popleft()
        self.events.append(JobStarted(job))
        return job

    def epoch(self, rank: int, result: StepResult) -> bool:
        """Note an epoch of a worker's job; return whether to go on."""
        job = self.held[rank]
        self.deaths.pop(job, None)
        self.events.append(JobEpoch(job, result))
        return not self.stopped and not self._loses_node()

    def ended(self, rank: int, record: TrialRecord) -> None:
        """Note that a worker's job has ended, after its files were written."""
        self.events.append(JobEnded(self.held.pop(rank), record))

    def progress(self) -> tuple[int, int]:
        """Return the number of jobs that are left, 0 once it is stopped, and of epochs done so far."""
        left = 0 if self.stopped else len(self.waiting) + len(self.held)
        return left, sum(isinstance(event, JobEpoch) for event in self.events)

    def stop(self) -> bool:
        """Let each worker end after its present epoch; return whether any has a job."""
        self.stopped = True
        return bool(self.held)

    def events_after(self, count: int) -> list[Event]:
        """Return what has happened after the first `count` events."""
        return self.events[count:]
