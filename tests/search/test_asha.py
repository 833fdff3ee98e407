import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import _Bracket

from medray.cluster.step_result import StepResult
from medray.search.asha import MIN_PEERS, Rungs
from medray.search.tune_adapters import Asha
from medray.space.search_space import Budget

BUDGET = Budget(trials=20, max_epochs=16, grace_epochs=4, reduction_factor=2, patience=None)
CURVES = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=16), min_size=1, max_size=20)


def best_so_far(curve: list[float]) -> list[tuple[int, float]]:
    return [(epoch, max(curve[:epoch])) for epoch in range(1, len(curve) + 1)]


def test_nobody_is_stopped_before_the_grace_or_before_a_rung_has_peers() -> None:
    rungs = Rungs(BUDGET, 16, "max")
    for number in range(MIN_PEERS):
        assert not rungs.report(number, 4, 1.0 - number / 10)
    assert not rungs.report(10, 3, 0.0)
    assert rungs.report(10, 4, 0.0)


def test_the_better_half_goes_on_in_either_mode() -> None:
    for mode, sign in (("max", 1), ("min", -1)):
        rungs = Rungs(BUDGET, 16, mode)
        for number in range(6):
            rungs.report(number, 4, sign * number)
        assert rungs.report(7, 4, sign * 2)
        assert not rungs.report(8, 4, sign * 5)


def test_baselines_are_ranked_but_run_to_their_end() -> None:
    rungs = Rungs(BUDGET, 16, "max")
    for number in range(6):
        rungs.report(number, 4, 0.9)
    assert not rungs.report(7, 4, 0.1, baseline=True)
    assert rungs.rungs[-1][1][7] == 0.1


def test_an_epoch_that_failed_is_ignored() -> None:
    rungs = Rungs(BUDGET, 16, "max")
    assert not rungs.report(0, 4, None)
    assert not any(reached for _, reached in rungs.rungs)


@pytest.mark.parametrize("max_epochs", [3, 4])
def test_a_first_rung_at_or_beyond_the_last_epoch_means_no_early_stop(max_epochs: int) -> None:
    assert Rungs(BUDGET, max_epochs, "max").rungs == []


@given(CURVES)
def test_rungs_after_a_restart_are_what_they_were(curves: list[list[float]]) -> None:
    unbroken, resumed = Rungs(BUDGET, 16, "max"), Rungs(BUDGET, 16, "max")
    for number, curve in enumerate(curves):
        for epoch, value in best_so_far(curve):
            unbroken.report(number, epoch, value)
    resumed.replay({number: best_so_far(curve) for number, curve in enumerate(curves)})
    assert resumed.rungs == unbroken.rungs


@given(CURVES)
def test_a_repeated_report_changes_nothing(curves: list[list[float]]) -> None:
    once, twice = Rungs(BUDGET, 16, "max"), Rungs(BUDGET, 16, "max")
    for number, curve in enumerate(curves):
        for epoch, value in best_so_far(curve):
            once.report(number, epoch, value)
            twice.report(number, epoch, value)
            assert not twice.report(number, epoch, value)
    assert once.rungs == twice.rungs


@given(CURVES, st.integers(1, 6), st.integers(2, 4))
def test_milestones_and_cutoffs_are_those_of_ray_tune(curves: list[list[float]], grace: int, factor: int) -> None:
    """Once a rung has its peers, Ray Tune's AsyncHyperBandScheduler stops the same trials at the same epochs."""
    budget = Budget(trials=20, max_epochs=16, grace_epochs=grace, reduction_factor=factor, patience=None)
    rungs, bracket = Rungs(budget, 16, "max"), _Bracket(grace, 16, factor, 0)
    for number, curve in enumerate(curves):
        for epoch, value in best_so_far(curve):
            peers = next((len(reached) for milestone, reached in rungs.rungs if epoch >= milestone), 0)
            stopped = bracket.on_result(SimpleNamespace(trial_id=number), epoch, value) == TrialScheduler.STOP
            assert rungs.report(number, epoch, value) == (stopped and peers >= MIN_PEERS)
    assert rungs.rungs == bracket._rungs


def test_tune_stops_what_the_rungs_stop() -> None:
    scheduler = Asha(Rungs(BUDGET, 16, "max"), lambda *_: False)

    def report(number: int, objective: float, baseline: str | None = None) -> str:
        trial: Any = SimpleNamespace(config={"trial": number, "baseline": baseline})
        return scheduler.on_trial_result(None, trial, dataclasses.asdict(StepResult(4, objective)))

    assert [report(number, 0.9) for number in range(MIN_PEERS)] == [TrialScheduler.CONTINUE] * MIN_PEERS
    assert report(4, 0.1, baseline="plain") == TrialScheduler.CONTINUE
    assert report(5, 0.1) == TrialScheduler.STOP
