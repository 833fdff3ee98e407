"""A log says at least once a minute how far a long command is; time is the test's own."""

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.console import HEARTBEAT, Heartbeat, live_picture, step
from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Job, JobEpoch, JobStarted
from medray.search.search_progress import SearchProgress
from medray.text import clock

LONG_ENOUGH = 60  # seconds, on a machine that is busy; the tests end as soon as the line is there


class Log(io.StringIO):
    """A stream that is no terminal, and sets `written` when a text is in it."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text, self.written = text, threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.text and self.text in self.getvalue():
            self.written.set()
        return count


def console(stream: io.StringIO) -> Console:
    return Console(file=stream, width=300)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=30))
def test_no_silence_is_longer_than_was_promised(events: list[tuple[bool, int]]) -> None:
    """Between other lines the beat is asked whenever it says that it wants to be."""
    now = 0.0
    printed = [0.0]
    beat = Heartbeat(console(io.StringIO()), lambda: printed.append(now) or "line", 60.0, lambda: now)
    wanted = now + beat.tick()
    for speaks, later in events:
        end = now + later
        while wanted <= end:
            now = wanted
            wanted = now + beat.tick()
            assert wanted > now
        now = end
        if speaks:
            printed.append(now)
            beat.spoke()
    gaps = [after - before for before, after in zip(printed, [*printed[1:], now], strict=True)]
    assert max(gaps) <= 60.0
    beats = len(printed) - 1 - sum(speaks for speaks, _ in events)
    assert beats <= now / 60.0  # and no more lines than are needed


def test_it_beats_while_the_command_is_in_one_long_call() -> None:
    log = Log("12 trials")
    with Heartbeat(console(log), lambda: "12 trials", every=0.0):
        assert log.written.wait(LONG_ENOUGH)
    size = len(log.getvalue())
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert len(log.getvalue()) == size
    assert set(log.getvalue().splitlines()) == {"  12 trials"}


@pytest.mark.parametrize(
    ("progress", "text"), [([], "  Measuring: 0 s"), ([3], "  Measuring: images 3 of 1,000 after 0 s")]
)
def test_a_step_that_reports_nothing_is_heard_of(progress: list[int], text: str) -> None:
    log = Log(text)
    with step(console(log), "Measuring", every=0.0) as report:
        for done in progress:
            report("Images", done, 1000)
        assert log.written.wait(LONG_ENOUGH)
    assert log.getvalue().startswith("Measuring ...\n")


def test_a_step_that_is_short_prints_its_line_and_no_more() -> None:
    log = Log()
    with step(console(log), "Measuring") as report:
        report("Images", 1, 2)
    assert log.getvalue() == "Measuring ...\n"
    assert HEARTBEAT <= 60


def test_a_terminal_is_drawn_on_instead() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    with live_picture(screen, lambda: "picture", lambda: "line") as beat:
        assert beat is None


@pytest.fixture
def log() -> Log:
    return Log()


def forced_line(progress: SearchProgress | CrossvalProgress, log: Log) -> str:
    """The line that is due a minute after the last one."""
    assert progress.heartbeat is not None
    progress.heartbeat.last -= 60
    progress.heartbeat.tick()
    return log.getvalue().splitlines()[-1]


def test_a_search_says_what_runs_how_good_it_is_and_how_long_it_takes(log: Log) -> None:
    progress = SearchProgress(console(log), "auc", 4)
    with progress.showing():
        assert forced_line(progress, log) == "  0/4 trials · 0 epochs · 0 s elapsed"
        progress.started -= 600
        progress.trial_started(0, "plain", TrainConfig(epochs=4))
        progress.trial_started(1, None, TrainConfig(epochs=4))
        progress.trial_epoch(0, StepResult(1, 0.75, None))
        progress.trial_epoch(0, StepResult(2, 0.75, None))
        assert forced_line(progress, log) == (
            "  0/4 trials · 2 epochs · best val auc 0.7500 so far (trial 0) · 10:00 elapsed · about 1:10:00 left · "
            "running: trial 0 epoch 2 of 4, trial 1 epoch 0 of 4"
        )
    assert progress.heartbeat is None


def test_one_of_several_searches_is_named(log: Log) -> None:
    progress = SearchProgress(console(log), "auc", 4, "Outer fold 2 of 5")
    with progress.showing():
        assert forced_line(progress, log) == "  Outer fold 2 of 5: 0/4 trials · 0 epochs · 0 s elapsed"


def test_a_resumed_trial_does_not_count_what_was_done_before() -> None:
    progress = SearchProgress(console(io.StringIO()), "log_loss", 1)
    progress.started -= 100
    progress.trial_started(0, None, TrainConfig(epochs=100))
    progress.trial_epoch(0, StepResult(90, 0.5, None))  # its worker reports the last one again
    progress.trial_epoch(0, StepResult(91, 0.5, None))
    assert progress.seconds_left() == pytest.approx(100 / 2 * 9, rel=0.01)


def test_a_cross_validation_says_so_too(log: Log) -> None:
    progress = CrossvalProgress(console(log), "auc", 6, 2, {7: 10})
    with progress.showing():
        progress.started -= 60
        job = Job(7, 0)
        progress.update([JobStarted(job), JobStarted(Job(7, 1))])
        assert forced_line(progress, log) == (
            "  2/6 folds · 0 epochs · running: trial 7 fold 0 epoch 0, trial 7 fold 1 epoch 0 · 1:00 elapsed"
        )
        progress.update([JobEpoch(job, StepResult(5, 0.8, None))])
        assert forced_line(progress, log) == (
            "  2/6 folds · 5 epochs · running: trial 7 fold 0 epoch 5 (best auc 0.8000), trial 7 fold 1 epoch 0 · "
            "1:00 elapsed · about 7:00 left"
        )


@given(st.floats(0, 10**6), st.floats(0, 1))
def test_the_time_left_is_none_or_no_less_than_zero(elapsed: float, share: float) -> None:
    progress = CrossvalProgress(console(io.StringIO()), "auc", 1, 0, {0: 10})
    progress.started -= elapsed
    progress.update([JobEpoch(Job(0, 0), StepResult(int(share * 20), 0.5, None))])
    left = progress.seconds_left()
    assert left is None or left >= 0
    assert (left is None) == (int(share * 20) == 0)
    assert clock(left or 0)
