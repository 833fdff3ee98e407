"""When a search is flat: a pure rule, and what it costs and saves in simulated searches."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TIME, TrialRecord
from medray.search.flatness import FEWEST, MARGIN, PART, is_flat

ERROR = 0.04


def records_of(objectives: Sequence[float]) -> list[TrialRecord]:
    return [TrialRecord(n, FINISHED, objective=value, ended_by="epochs") for n, value in enumerate(objectives)]


def flat(objectives: Sequence[float], mode: str = "max", error: float | None = ERROR) -> bool:
    return is_flat(records_of(objectives), mode, lambda record: error)


@given(st.lists(st.floats(0.0, 1.0), max_size=FEWEST))
def test_few_trials_are_never_flat(objectives: list[float]) -> None:
    assert not flat(objectives)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), st.integers(0, 10))
def test_as_many_trials_again_without_a_gain_are_flat(first: list[float], more: int) -> None:
    objectives = [*first, *([min(first)] * (max(FEWEST, len(first)) + more))]
    assert flat(objectives)
    assert flat([1 - value for value in objectives], "min")


@pytest.mark.parametrize(("error", "tolerance"), [(ERROR, PART * ERROR), (None, MARGIN * 0.8)])
def test_only_a_gain_beyond_the_tolerance_goes_on(error: float | None, tolerance: float) -> None:
    for gain, expected in ((0.9 * tolerance, True), (1.2 * tolerance, False)):
        objectives = [0.8] * FEWEST + [0.8 + gain] + [0.5] * 5
        assert flat(objectives, error=error) == expected
        assert flat([1.6 - value for value in objectives], "min", error) == expected


def test_failed_trials_and_those_without_time_do_not_count() -> None:
    more = [
        TrialRecord(90, FAILED, objective=None, reason="broken"),
        TrialRecord(91, STOPPED, objective=0.2, ended_by=TIME),
    ]
    ended = records_of([0.8] * FEWEST)
    assert not is_flat([*ended, *more], "max", lambda record: ERROR)
    asha = TrialRecord(92, STOPPED, objective=0.2, ended_by="asha")
    assert is_flat([*ended, *more, asha], "max", lambda record: ERROR)
