"""The time of a search: no trial begins that can't reach its first rung, none runs beyond, all that is left is whole."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.errors import RunError, TooShortError
from medray.runs.trial_record import FINISHED, STOPPED, TIME, EpochRecord
from medray.search.time_limit import HOUR_S, EpochTimes, TimeLimit, TrialKind, ending_seconds, hours_for
from medray.search.trial_clock import TrialClock
from medray.training.deadline import LEAST_S
from tests.search.simulated import Clock, ledger_in, run_all

BACKBONES = ("lenet5", "resnet8_small", "cnn5")
seconds_of_epochs = st.fixed_dictionaries({name: st.floats(20.0, 200.0) for name in BACKBONES})

LENET = TrialKind("lenet5")


class InTurn(dict[str, float]):
    """The seconds of one epoch after another, of whatever backbone."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.seconds = iter(seconds)

    def __missing__(self, backbone: str) -> float:
        return next(self.seconds)


@settings(max_examples=15, deadline=None)
@given(seconds_of_epochs, st.integers(1, 6), st.floats(0.05, 0.5))
def test_no_trial_begins_that_cannot_reach_its_first_rung(
    seconds: dict[str, float], grace: int, hours: float
) -> None:
    clock = Clock()
    limit = hours * HOUR_S - ending_seconds(hours)
    assume(grace * max(seconds.values()) < limit / 2)
    with tempfile.TemporaryDirectory() as folder:
        ledger = ledger_in(Path(folder), clock, hours, grace=grace)
        run_all(ledger, clock, seconds)
        records = [ledger.records[number] for number in sorted(ledger.records)]
        assert ledger.ended_by == TIME
        assert ledger.left() == 0
        measured: set[str] = set()
        for record in records:
            backbone = record.settings["backbone"]
            # A backbone that was never run is judged by the others, and may be slower than these.
            assert record.epochs >= (1 if backbone not in measured else grace)
            assert (record.state, record.ended_by) in ((FINISHED, "epochs"), (STOPPED, TIME))
            assert record.objective == 0.5
            measured.add(backbone)
        # The first epoch of one that was not measured may be cut short; nothing runs longer.
        assert clock.now - 1000.0 - limit <= LEAST_S
        # What was drawn and held back has no folder, and is ready to go on with.
        held = [t for t in ledger.study.trials if t.state == TrialState.RUNNING]
        assert [t.number for t in held] == sorted(t.number for t in ledger.held_back)
        assert not any((Path(folder) / f"trials/{t.number:04d}").exists() for t in held)


def test_more_time_goes_on_with_what_was_held_back(tmp_path: Path) -> None:
    clock, seconds = Clock(), dict.fromkeys(BACKBONES, 10.0)
    ledger = ledger_in(tmp_path, clock, 0.05)
    run_all(ledger, clock, seconds)
    held = [trial.number for trial in ledger.held_back]
    drawn = {trial.number: trial.params for trial in ledger.held_back}
    before = dict(ledger.records)
    assert held
    again = ledger_in(tmp_path, clock, 0.1)
    assert again.limit.used() == pytest.approx(ledger.limit.used(), abs=0.01)
    run_all(again, clock, seconds)
    assert {number: again.records[number] for number in before} == before
    first = again.records[held[0]]
    assert {name: first.settings[name] for name in drawn[held[0]]} == drawn[held[0]]
    assert clock.now - 1000.0 <= 0.1 * HOUR_S - ending_seconds(0.1) + 1e-6


@settings(max_examples=15, deadline=None)
@given(st.floats(1.0, 100.0), st.integers(1, 6), st.floats(0.5, 15.0))
def test_a_time_too_short_for_one_trial_is_an_error_that_says_how_much_is_enough(
    seconds: float, grace: int, epochs_in_time: float
) -> None:
    clock, taken, hours = Clock(), dict.fromkeys(BACKBONES, seconds), epochs_in_time * seconds / HOUR_S
    available = hours * HOUR_S - ending_seconds(hours)
    assume(abs(grace * seconds - available) > 0.01)
    assume(abs(available / seconds - round(available / seconds)) > 1e-6)
    with tempfile.TemporaryDirectory() as folder:
        ledger = ledger_in(Path(folder), clock, hours, grace=grace)
        if grace * seconds < available or (grace == 1 and seconds <= LEAST_S):
            run_all(ledger, clock, taken)
            assert ledger.records[0].epochs >= grace
            return
        with pytest.raises(RunError, match=r"too short for a single trial: an epoch of trial 0 takes") as error:
            run_all(ledger, clock, taken)
        ledger.save_state()
        assert not ledger.records
        epochs = ledger.run.trial(0).epochs()
        assert len(epochs) == max(int(available // seconds), seconds <= LEAST_S)  # what was done in time is kept
        enough = float(str(error.value).split("--hours ")[1].split()[0])
        again = ledger_in(Path(folder), clock, enough, grace=grace)
        run_all(again, clock, taken)
        assert again.records[0].epochs >= grace
        assert again.run.trial(0).epochs()[: len(epochs)] == epochs


def test_an_unfinished_trial_without_time_is_ended_with_what_it_has(tmp_path: Path) -> None:
    clock, seconds = Clock(), dict.fromkeys(BACKBONES, 10.0)
    ledger = ledger_in(tmp_path, clock, 1.0)
    calls = iter(range(100))

    def killed_later(number: int) -> float:
        if next(calls) == 9:
            raise KeyboardInterrupt
        return 0.6

    with pytest.raises(KeyboardInterrupt):
        run_all(ledger, clock, seconds, killed_later)
    ledger.save_state()
    assert (len(ledger.records), len(ledger.run.trial(1).epochs())) == (1, 3)
    clock.now += HOUR_S
    resumed = ledger_in(tmp_path, clock, 0.02)  # 72 s, of which 100 are used
    run_all(resumed, clock, seconds)
    assert resumed.left() == 0
    assert [(r.state, r.ended_by, r.epochs) for r in resumed.records.values()] == [
        (FINISHED, "epochs", 6),
        (STOPPED, TIME, 3),
    ]


def test_failing_trials_do_not_go_on_for_hours(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 1.0)
    while ledger.left() and (trial := ledger.start_next()):
        ledger.end(trial.number, None, worker_died=True)
    assert len(ledger.records) == 20
    assert ledger.ended_by is None


def test_an_epoch_takes_what_epochs_of_the_nearest_kind_took() -> None:
    times = EpochTimes()
    assert times.expected(LENET) is None
    large, frozen = TrialKind("lenet5", 224), TrialKind("lenet5", 224, trainable_blocks=0)
    measured = {
        LENET: [1.0, 2.0, 9.0], large: [60.0], frozen: [5.0], TrialKind("vgg16"): [100.0], TrialKind("cnn5"): []
    }  # fmt: skip
    for number, (kind, seconds) in enumerate(measured.items()):
        times.begin(number, kind, seconds)
    assert times.expected(LENET) == 2.0
    assert times.expected(TrialKind("lenet5", 112)) == 15.0  # a quarter of the pixels
    assert times.expected(TrialKind("lenet5", None, trainable_blocks=0)) == 5.0  # the median of 2, 5 and 60
    assert times.expected(TrialKind("resnet18")) == 32.5
    assert times.slowest() == 100.0


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.lists(st.floats(0.1, 9.0), min_size=1, max_size=3)),
        min_size=1,
    )
)
def test_the_kept_medians_are_those_of_all_epochs(steps: list[tuple[int, bool, list[float]]]) -> None:
    times, kinds = EpochTimes(), (LENET, TrialKind("cnn5"))
    epochs: dict[int, list[float]] = {}
    for number, resumed, seconds in steps:
        if resumed or number not in epochs:
            epochs[number] = []
            times.begin(number, kinds[number % 2])
        for each in seconds:
            epochs[number].append(each)
            times.add(number, each)
    for remainder, kind in enumerate(kinds):
        medians = [median(values) for number, values in epochs.items() if number % 2 == remainder]
        assert not medians or times.expected(kind) == median(medians)
    assert times.slowest() == max(median(values) for values in epochs.values())


def test_without_a_measured_epoch_only_the_first_trial_begins_after_the_time() -> None:
    clock = Clock()
    limit = TimeLimit(0.1, now=clock)
    clock.now += HOUR_S
    assert limit.allows(LENET, 3)
    limit.times.begin(0, LENET)
    assert not limit.allows(LENET, 3)


@given(st.floats(0.01, 1e6))
def test_hours_for_a_training_have_room_for_it_and_little_more(seconds: float) -> None:
    hours = hours_for(seconds)
    room = hours * HOUR_S - ending_seconds(hours)
    assert seconds <= room + 1e-6
    assert room <= max(seconds, 1.0) * 1.12 + 0.1
    assert float(f"{hours:g}") == hours


def test_a_search_without_hours_has_no_limit() -> None:
    limit = TimeLimit()
    assert limit.allows(LENET, 10**9)
    limit.times.begin(0, LENET)
    assert not limit.stops(0, 1e12)


def test_a_linear_head_is_judged_by_those_on_the_same_features() -> None:
    clock = Clock()
    limit = TimeLimit(0.1, now=clock)  # 348 s for trials
    small, large = TrialKind("vit", 64, 0, True), TrialKind("vit", 256, 0, True)
    limit.times.begin(0, small)
    limit.times.add(0, 30.0)  # the features of all images, and the head
    assert limit.times.expected(large) == 480.0  # sixteen times the pixels
    assert not limit.allows(large, 1)
    limit.times.begin(1, small)
    limit.times.add(1, 0.5)
    assert limit.times.expected(small) == 0.5
    assert limit.times.expected(LENET) is None  # what takes steps is not judged by heads that are fitted at once
    assert limit.allows(LENET, 10)
    limit.times.begin(2, LENET)
    limit.times.add(2, 50.0)
    assert not limit.allows(LENET, 10)
    assert not limit.allows(TrialKind("resnet18"), 10)
    assert limit.allows(small, 1)


def test_features_are_judged_by_how_often_the_backbone_sees_an_image() -> None:
    limit = TimeLimit(0.1, now=Clock())  # at most 90 s for one trial where others take less
    once, mirrored = (TrialKind("vit", 64, 0, True, pooling) for pooling in ("stages", "mirrored"))
    limit.times.forwards["vit", 64] = 50.0
    limit.times.begin(0, LENET)
    limit.times.add(0, 1.0)
    assert limit.times.expected(once) == 50.0
    assert limit.allows(once, 1)
    assert limit.times.expected(mirrored) == 100.0
    assert not limit.allows(mirrored, 1)
    limit.times.embedded.add(mirrored)
    assert limit.allows(mirrored, 1)  # they are computed already
    assert limit.times.expected(TrialKind("vit", 64)) == 150.0  # of fine-tuning
    assert limit.times.expected(TrialKind("vit", 64, 2)) == 75.0  # of its last blocks
    assert limit.times.expected(TrialKind("vit", 128)) == 600.0
    assert not limit.allows(TrialKind("vit", 128), 1)
    assert limit.times.expected(TrialKind("vit")) == 1.0  # of the images' own size, which is not known here
    in_views = TrainConfig(
        backbone="vit", image_size=64, optimizer="lbfgs", trainable_blocks=0, transforms="flips",
        pipeline=({"HorizontalFlip": {"p": 0.5}},), views=3,
    )  # fmt: skip
    assert limit.times.expected(TrialKind.of(in_views)) == 200.0
    assert limit.times.expected(TrialKind.of(replace(in_views, pipeline=()))) == 50.0


def test_heads_on_features_that_are_there_tell_nothing_of_those_that_are_not() -> None:
    limit = TimeLimit(0.1, now=Clock())
    small, large = (TrialKind("vit", side, 0, True, "stages") for side in (64, 128))
    limit.times.forwards["vit", 64] = 50.0
    limit.times.embedded.add(small)
    limit.times.begin(0, small, [0.5])
    assert limit.times.expected(small) == 0.5
    assert limit.times.expected(large) == 200.0
    limit.times.embedded.add(large)
    assert limit.times.expected(large) == 2.0


def test_a_search_in_which_nothing_can_begin_says_how_much_is_enough(tmp_path: Path) -> None:
    clock, hours = Clock(), 0.02
    ledger = ledger_in(tmp_path, clock, hours)
    for backbone in BACKBONES:
        ledger.limit.times.forwards[backbone, None] = 40.0  # 120 s for an epoch, of which a trial needs two
    run_all(ledger, clock, dict.fromkeys(BACKBONES, 120.0))
    assert (ledger.ended_by, len(ledger.records), ledger.left()) == (TIME, 0, 0)
    with pytest.raises(TooShortError, match="too short for a single trial: of those drawn the shortest") as caught:
        ledger.check_any_begun()
    assert "--resume --hours " in str(caught.value)
    ledger.save_state()
    assert ledger.run.read_state().ended_by is None  # it goes on, also with the same hours
    again = ledger_in(tmp_path, clock, caught.value.least)
    again.limit.times.forwards |= ledger.limit.times.forwards
    run_all(again, clock, dict.fromkeys(BACKBONES, 120.0))
    assert again.records[0].epochs >= 2
    again.check_any_begun()


def test_a_folder_that_a_full_disk_has_left_empty_does_not_end_a_resumed_search(tmp_path: Path) -> None:
    clock, seconds = Clock(), dict.fromkeys(BACKBONES, 10.0)
    ledger = ledger_in(tmp_path, clock, 0.05)
    started = ledger.start_next()
    assert started is not None
    (tmp_path / "trials/0000/config.json").unlink()
    resumed = ledger_in(tmp_path, clock, 0.05)
    run_all(resumed, clock, seconds)
    assert resumed.records[0].state == FINISHED


def test_a_trial_of_a_kind_that_turns_out_too_slow_is_stopped_and_the_others_go_on(tmp_path: Path) -> None:
    clock, seconds = Clock(), {"lenet5": 1.0, "cnn5": 1.0, "resnet8_small": 60.0}
    ledger = ledger_in(tmp_path, clock, 0.1)  # 360 s: two epochs of the slow one are more than a quarter
    run_all(ledger, clock, seconds)
    slow = [r for r in ledger.records.values() if r.settings["backbone"] == "resnet8_small"]
    assert [(r.epochs, r.state, r.ended_by) for r in slow] == [(1, STOPPED, TIME)]
    assert len(ledger.records) > 30  # the time went to the others, and draws of the slow one ended nothing
    assert clock.now - 1000.0 > 0.1 * HOUR_S - ending_seconds(0.1) - 10.0


def test_the_features_that_a_first_epoch_computes_do_not_make_a_trial_too_slow(tmp_path: Path) -> None:
    def stopped(blocks: int | None, *seconds: float) -> list[bool]:
        folder = tmp_path / f"{blocks} {len(seconds)} {seconds[-1]}"
        folder.mkdir()
        ledger = ledger_in(folder, Clock(), 0.1, epochs=8, grace=8)
        assert [ledger.start_next() is not None for _ in range(2)] == [True, True]  # a baseline, and a drawn one
        ledger.clock.running[1].features = blocks is not None
        ledger.limit.times.begin(99, TrialKind("cnn5"), [1.0])
        results = [StepResult(epoch, 0.5, seconds=each) for epoch, each in enumerate(seconds, start=1)]
        return [ledger.lacks_time(1, result) for result in results]

    assert stopped(None, 20.0) == [True]  # eight of these are more than a quarter of 360 s
    assert stopped(2, 20.0, 5.0) == [False, False]
    assert stopped(2, 20.0, 20.0) == [False, True]


def test_cheap_linear_heads_make_no_other_training_too_slow() -> None:
    limit = TimeLimit(0.1, now=Clock())  # at most 90 s for one trial where others take less
    limit.times.begin(0, TrialKind("vit", 64, 0, True))
    limit.times.add(0, 0.1)
    limit.times.begin(1, LENET)
    limit.times.add(1, 12.0)
    assert not limit.is_too_slow(1, 8, 12.0)
    assert limit.allows(LENET, 8)
    limit.times.begin(2, TrialKind("cnn5"))
    limit.times.add(2, 5.0)
    assert limit.is_too_slow(1, 8, 12.0)
    assert not limit.allows(LENET, 8)


@pytest.mark.parametrize(("trials_at_once", "most"), [(1, 89.0), (2, 143.0), (8, 143.0)])
def test_a_trial_beside_others_may_take_more_of_the_time(trials_at_once: int, most: float) -> None:
    limit = TimeLimit(0.1, trials_at_once=trials_at_once, now=Clock())  # a quarter is 90 s, two fifths are 144 s
    limit.times.begin(0, TrialKind("cnn5"))
    limit.times.add(0, 1.0)
    for seconds in (most, most + 2):
        kind = TrialKind("resnet18", int(seconds))
        limit.times.forwards["resnet18", int(seconds)] = seconds / 3
        assert limit.allows(kind, 1) == (seconds == most)


def test_nothing_is_drawn_ahead_of_trainings_whose_epochs_are_not_known_yet() -> None:
    heads, lenet = (
        TrainConfig(backbone="resnet18", pretrained=True, trainable_blocks=0, optimizer="lbfgs"),
        TrainConfig(backbone="lenet5"),
    )
    clock = TrialClock(TimeLimit(0.1, now=Clock()), grace_epochs=2)
    for number, config in enumerate((lenet, heads, heads)):
        clock.draw(number, config, 0)
    clock.begin(0, ())
    clock.begin(1, ())
    assert not clock.may_wait()  # nothing is measured
    clock.note_epoch(1, StepResult(1, 0.5, seconds=0.1))
    assert clock.may_wait()  # a head ends soon
    clock.hold_back(1)
    assert not clock.may_wait()
    clock.note_epoch(0, StepResult(1, 0.5, seconds=1.0))
    assert clock.may_wait()


def test_a_baseline_goes_on_however_slow_it_is(tmp_path: Path) -> None:
    clock, seconds = Clock(), {"lenet5": 40.0, "cnn5": 1.0, "resnet8_small": 1.0}
    ledger = ledger_in(tmp_path, clock, 0.1, grace=3)
    ledger.limit.times.begin(99, TrialKind("cnn5"), [1.0])
    run_all(ledger, clock, seconds)
    assert (ledger.records[0].baseline, ledger.records[0].epochs) == ("plain", 6)


def test_a_first_epoch_that_has_no_time_is_held_back_and_others_stay(tmp_path: Path) -> None:
    clock, seconds = Clock(), {"lenet5": 100.0, "cnn5": 2e3, "resnet8_small": 2e3}
    ledger = ledger_in(tmp_path, clock, 0.5, epochs=3)
    run_all(ledger, clock, seconds)
    assert ledger.ended_by == TIME
    assert ledger.left() == 0
    assert {r.settings["backbone"] for r in ledger.records.values()} == {"lenet5"}
    assert ledger.limit.left() > -LEAST_S
    slow = ledger.held_back[-1].number
    assert slow == max(ledger.records) + 1
    assert slow not in ledger.run.trial_numbers()
    again = ledger_in(tmp_path, clock, 3.0, epochs=3)
    run_all(again, clock, seconds)
    assert again.records[slow].epochs > 0


def test_a_trial_that_is_cut_short_ends_with_what_it_has(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 0.5, epochs=30)
    run_all(ledger, clock, InTurn([100.0] * 10 + [1e5]))
    assert [(r.epochs, r.state, r.ended_by) for r in ledger.records.values()] == [(10, STOPPED, TIME)]
    assert ledger.run.trial(0).record() == ledger.records[0]


def test_a_sole_trial_that_is_cut_short_before_its_first_rung_is_resumed_with_more_time(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 0.2, epochs=8, grace=5)
    with pytest.raises(RunError, match="first rung is epoch 5"):
        run_all(ledger, clock, InTurn([100.0] * 3 + [1e4]))
    ledger.save_state()
    assert not ledger.records
    again = ledger_in(tmp_path, clock, 1.0, epochs=8, grace=5)
    run_all(again, clock, dict.fromkeys(BACKBONES, 100.0))
    assert again.records[0].epochs == 8
    assert again.run.trial(0).epochs()[0].seconds == 100.0


def test_a_trial_that_a_sleeping_machine_cut_short_goes_on_from_its_epochs(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 0.5)
    started = ledger.start_next()
    assert started is not None
    number = started.number
    ledger.run.trial(number).write_epochs([EpochRecord(1, 0.7, 1.0, 0.1, 10.0, {}, 1, {"auc": 0.7}, 9, None)])
    ledger.epoch(number, StepResult(1, 0.7, None, seconds=10.0))
    ledger.end(number, StepResult(2, None, TIME, seconds=5.0, clock=time.time()))  # it slept beyond its time
    assert number not in ledger.records
    assert ledger.ended_by is None
    run_all(ledger, clock, dict.fromkeys(BACKBONES, 20.0))
    assert (ledger.records[number].state, ledger.records[number].epochs) == (FINISHED, 6)


def test_a_trial_without_time_for_its_first_rung_ends_alone_where_another_one_has(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 0.1, epochs=8, grace=4)  # 360 s, of which 36 are the ensemble's
    first, second = ledger.start_next(), ledger.start_next()
    assert first is not None
    assert second is not None
    for epoch in range(1, 4):
        for number, seconds in ((first.number, 90.0), (second.number, 20.0)):
            result = StepResult(epoch, 0.5, None, seconds=seconds)
            clock.now += 90.0 if number == first.number else 0.0
            stopped = ledger.lacks_time(number, result)
            ledger.epoch(number, result)
            assert stopped == (epoch == 3 and number == first.number)
    assert ledger.limit.left() > 20


def test_a_worker_whose_clock_is_ahead_ends_one_trial_too_early_and_no_other(tmp_path: Path) -> None:
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, 0.5)
    for _ in range(2):  # a second such trial, which had begun before, moves nothing further
        started = ledger.start_next()
        assert started is not None
        assert started.number == 0
        ledger.end(0, StepResult(1, None, TIME, seconds=5.0, clock=time.time() + 500))
        assert ledger.limit.until() == pytest.approx(time.time() + ledger.limit.left() + 500, abs=1)
        assert ledger.ended_by is None
    run_all(ledger, clock, dict.fromkeys(BACKBONES, 50.0))
    assert ledger.records[0].state == FINISHED
