from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from medray.search.tune_adapters import FEWEST_PEERS, Asha, make_scheduler
from medray.space.search_space import Budget

BUDGET = Budget(trials=20, max_epochs=16, grace_epochs=4, reduction_factor=2, patience=None)
CURVES = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=16), min_size=1, max_size=20)


def report(scheduler: Asha, number: int, epoch: int, objective: float, baseline: str | None = None) -> str:
    trial: Any = SimpleNamespace(config={"trial": number, "baseline": baseline})
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "objective": objective})


def rungs(scheduler: Asha) -> list[tuple[float, dict[int, float]]]:
    return list(scheduler._brackets[0]._rungs)


def best_so_far(curve: list[float]) -> list[tuple[int, float]]:
    return [(epoch, max(curve[:epoch])) for epoch in range(1, len(curve) + 1)]


def test_nobody_is_stopped_before_the_grace_or_before_a_rung_has_peers() -> None:
    scheduler = Asha(BUDGET, 16, "max")
    for number in range(FEWEST_PEERS):
        assert report(scheduler, number, 4, 1.0 - number / 10) == TrialScheduler.CONTINUE
    assert report(scheduler, 10, 3, 0.0) == TrialScheduler.CONTINUE
    assert report(scheduler, 10, 4, 0.0) == TrialScheduler.STOP


def test_the_better_half_goes_on_in_either_mode() -> None:
    for mode, sign in (("max", 1), ("min", -1)):
        scheduler = Asha(BUDGET, 16, mode)
        for number in range(6):
            report(scheduler, number, 4, sign * number)
        assert report(scheduler, 7, 4, sign * 2) == TrialScheduler.STOP
        assert report(scheduler, 8, 4, sign * 5) == TrialScheduler.CONTINUE


def test_baselines_are_ranked_but_run_to_their_end() -> None:
    scheduler = Asha(BUDGET, 16, "max")
    for number in range(6):
        report(scheduler, number, 4, 0.9)
    assert report(scheduler, 7, 4, 0.1, baseline="plain") == TrialScheduler.CONTINUE
    assert rungs(scheduler)[-1][1][7] == 0.1


def test_a_first_rung_beyond_the_last_epoch_means_no_early_stop() -> None:
    assert type(make_scheduler(BUDGET, 4, "max", {})) is FIFOScheduler


@given(CURVES)
def test_rungs_after_a_restart_are_what_they_were(curves: list[list[float]]) -> None:
    unbroken = Asha(BUDGET, 16, "max")
    for number, curve in enumerate(curves):
        for epoch, value in best_so_far(curve):
            report(unbroken, number, epoch, value)
    resumed = make_scheduler(BUDGET, 16, "max", {n: best_so_far(curve) for n, curve in enumerate(curves)})
    assert isinstance(resumed, Asha)
    assert rungs(resumed) == rungs(unbroken)


@given(CURVES)
def test_a_repeated_report_changes_nothing(curves: list[list[float]]) -> None:
    once, twice = Asha(BUDGET, 16, "max"), Asha(BUDGET, 16, "max")
    for number, curve in enumerate(curves):
        for epoch, value in best_so_far(curve):
            report(once, number, epoch, value)
            report(twice, number, epoch, value)
            assert report(twice, number, epoch, value) == TrialScheduler.CONTINUE
    assert rungs(once) == rungs(twice)
