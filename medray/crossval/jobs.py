"""Which settings on which folds are left, and who does what: one small actor that all workers ask."""

from collections import deque
from dataclasses import dataclass
from typing import Any

LOST = "its worker process died"  # how the reason of a fold begins that was given up for it
WORKER_DEATHS = 3  # in a row, without an epoch between them, before a fold is given up


@dataclass(frozen=True)
class Job:
    """One training: the settings of a trial on one fold."""

    trial: int
    fold: int


@dataclass(frozen=True)
class Event:
    """What has become of a job: `kind` is started, epoch or ended; `told` its last epoch's figures."""

    kind: str
    job: Job
    told: dict[str, Any]


class JobQueue:
    """Hands out jobs, one to a worker at a time, and passes on what the workers tell.

    Ray Train restarts all its workers when one dies. Each then asks with `begin`, and gets the job back that
    it held. Before other workers begin, perhaps fewer, `release` takes back what the last ones held.
    """

    def __init__(self, jobs: list[Job]) -> None:
        self.waiting = deque(jobs)
        self.held: dict[int, Job] = {}
        self.deaths: dict[Job, int] = {}
        self.events: list[Event] = []
        self.stopped = False

    def begin(self, rank: int) -> tuple[Job | None, int]:
        """Give a worker that has just started its job, and how often workers died on it in a row."""
        job = self.held.get(rank)
        if job is None or self.stopped:
            job = self.next(rank)
        else:
            self.deaths[job] = self.deaths.get(job, 0) + 1
        return job, self.deaths.get(job, 0) if job else 0

    def release(self) -> None:
        """Take back what workers held that have all died."""
        for job in reversed(self.held.values()):
            self.deaths[job] = self.deaths.get(job, 0) + 1
            self.waiting.appendleft(job)
        self.held.clear()

    def next(self, rank: int) -> Job | None:
        """Give a worker its next job; None when there are none left, or it is time to stop."""
        self.held.pop(rank, None)
        if self.stopped or not self.waiting:
            return None
        job = self.held[rank] = self.waiting.popleft()
        self.events.append(Event("started", job, {}))
        return job

    def epoch(self, rank: int, told: dict[str, Any]) -> bool:
        """Take note of an epoch; returns whether to go on."""
        job = self.held[rank]
        self.deaths.pop(job, None)
        self.events.append(Event("epoch", job, told))
        return not self.stopped

    def ended(self, rank: int, told: dict[str, Any]) -> None:
        """Take note of a job's end, after its files were written."""
        self.events.append(Event("ended", self.held.pop(rank), told))

    def progress(self) -> tuple[int, int]:
        """How many jobs are left to do, none once it is stopped, and how many epochs have been done."""
        left = 0 if self.stopped else len(self.waiting) + len(self.held)
        return left, sum(event.kind == "epoch" for event in self.events)

    def stop(self) -> bool:
        """Let each worker end after its present epoch; returns whether any has one."""
        self.stopped = True
        return bool(self.held)

    def heard(self, since: int) -> list[Event]:
        """What has happened after the first `since` events."""
        return self.events[since:]
