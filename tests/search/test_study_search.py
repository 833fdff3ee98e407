"""Tune's searcher at the end of a search's time."""

from pathlib import Path

import pytest
from ray.tune.search import Searcher

from medray.search.time_limit import HOUR_S
from medray.search.tune_adapters import SILENCE_S, SearchCallback, StudySearch
from tests.search.simulated import Clock, ledger_in

pytestmark = pytest.mark.component


def test_it_has_no_more_trials_when_the_last_one_has_ended(tmp_path: Path) -> None:
    search = StudySearch(ledger_in(tmp_path, Clock(), 1.0, trials=1), lambda: 2)
    first = search.suggest("a")
    assert isinstance(first, dict)
    assert search.suggest("b") is None  # the first may be put back
    search.on_trial_complete("a", error=True)
    assert search.suggest("b") == Searcher.FINISHED


def test_trials_that_are_not_heard_of_long_after_the_time_end_it_in_one_line(tmp_path: Path) -> None:
    clock = Clock()
    search = StudySearch(ledger_in(tmp_path, clock, 1.0), lambda: 2)
    callback = SearchCallback(search)
    assert isinstance(search.suggest("a"), dict)
    clock.now += HOUR_S + SILENCE_S / 2
    callback.on_step_end(1, [])
    assert search.suggest("b") is None  # nothing has time, but the first may be put back
    clock.now += SILENCE_S
    with pytest.raises(
        Exception, match=r"the time was over .* ago, and trials that run still \(0\) are not heard of"
    ):
        callback.on_step_end(2, [])
