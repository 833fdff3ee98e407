"""The queue of folds: each is done once, whatever dies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.cluster.step_result import StepResult
from medray.crossval.jobs import Job, JobQueue
from medray.runs.trial_record import FINISHED, TrialRecord

EPOCH, RECORD = StepResult(1, 0.5), TrialRecord(0, FINISHED)
NODE, OTHER = "node", "other"
JOBS = [Job(trial, fold) for trial in range(2) for fold in range(3)]


@given(st.data())
def test_every_job_is_done_once_and_by_one_worker_at_a_time(data: st.DataObject) -> None:
    queue = JobQueue(JOBS)
    done: list[Job] = []
    held: dict[int, Job | None] = {
        rank: queue.begin(rank, NODE)[0] for rank in range(data.draw(st.integers(1, 4)))
    }
    while any(held.values()):
        busy = [job for job in held.values() if job]
        assert len(set(busy)) == len(busy)
        assert not set(busy) & set(done)
        assert queue.progress()[0] == len(JOBS) - len(done)
        rank = data.draw(st.sampled_from([rank for rank, job in held.items() if job]))
        match data.draw(st.sampled_from(["end", "epoch", "restart", "fewer"])):
            case "epoch":
                assert queue.epoch(rank, EPOCH)
            case "end":
                queue.ended(rank, RECORD)
                done.append(held[rank])  # type: ignore[arg-type]
                held[rank] = queue.next(rank)
            case "restart":  # Ray Train's own: as many workers begin anew
                held = {rank: queue.begin(rank, NODE)[0] for rank in held}
            case "fewer":  # another trainer's
                queue.release()
                held = {rank: queue.begin(rank, NODE)[0] for rank in range(data.draw(st.integers(1, 4)))}
    assert sorted(done, key=JOBS.index) == JOBS
    assert queue.progress()[0] == 0


def test_deaths_are_counted_until_an_epoch_is_done() -> None:
    queue = JobQueue(JOBS)
    assert queue.begin(0, NODE) == (JOBS[0], 0)
    assert queue.begin(0, NODE) == (JOBS[0], 1)
    queue.release()
    assert queue.begin(0, NODE) == (JOBS[0], 2)
    queue.epoch(0, EPOCH)
    assert queue.begin(0, NODE) == (JOBS[0], 1)


def test_once_stopped_nothing_is_left_to_do() -> None:
    queue = JobQueue(JOBS)
    assert not queue.stop()
    queue = JobQueue(JOBS)
    queue.begin(0, NODE)
    assert queue.stop(), "one is being done"
    assert not queue.epoch(0, EPOCH)
    assert queue.begin(0, NODE) == (None, 0)
    queue.release()
    assert queue.progress()[0] == 0
    assert queue.begin(1, NODE) == (None, 0)


def test_all_workers_end_after_their_epochs_when_one_is_about_to_lose_its_node() -> None:
    leaving: set[str] = set()
    queue = JobQueue(JOBS, lambda: leaving)
    queue.begin(0, NODE)
    queue.begin(1, OTHER)
    leaving.add("a node without workers")
    assert queue.epoch(0, EPOCH)
    leaving.add(OTHER)
    assert not queue.epoch(0, EPOCH)
    queue.ended(1, RECORD)
    assert queue.next(1) is None
    queue.release()
    assert queue.progress()[0] == len(JOBS) - 1
    assert queue.begin(0, NODE) == (JOBS[0], 0)
    assert queue.epoch(0, EPOCH), "nobody is there any more"


@pytest.mark.parametrize("ranks", [(0, 1), (1, 0)])
def test_no_death_is_counted_where_a_node_was_taken_away(ranks: tuple[int, int]) -> None:
    """Ray Train restarts the workers of all nodes, in any order."""
    leaving = {OTHER}
    queue = JobQueue(JOBS, lambda: leaving)
    queue.begin(0, NODE)
    queue.begin(1, OTHER)
    for rank in ranks:
        assert queue.begin(rank, NODE) == (JOBS[rank], 0)
    for rank in ranks:
        assert queue.begin(rank, NODE) == (JOBS[rank], 1), "these died of something else"
