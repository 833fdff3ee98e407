"""Importance: the setting that matters comes first; too few trials are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from medray.analyze.importance import FEWEST, importances
from medray.analyze.journal import open_study
from medray.runs.rundir import RunDir
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from tests.analyze.conftest import write_journal

SPACE = {
    "learning_rate": FloatDistribution(0.001, 0.1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "momentum": FloatDistribution(0.0, 0.99),
}
TEXT = """
name: two
data: phantom
objective: {metric: auc}
budget: {trials: 4, max_epochs: 2, grace_epochs: 200, reduction_factor: 2, patience: null}
space:
  learning_rate: {log: [0.001, 0.1]}
  dropout: {uniform: [0.0, 0.5]}
  optimizer: {choice: [adam, sgd]}
  momentum: {uniform: [0.0, 0.99], when: {optimizer: sgd}}
"""


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return parse(TEXT, "two.yaml")


def study_of(folder: Path, count: int, *, flat: bool = False) -> optuna.Study:
    """Trials of which the learning rate decides most, every third under sgd."""
    rng = np.random.default_rng(0)
    trials = []
    for i in range(count):
        params = {"learning_rate": 10 ** rng.uniform(-3, -1), "dropout": rng.uniform(0, 0.5), "optimizer": "adam"}
        if i % 3 == 0:
            params |= {"optimizer": "sgd", "momentum": rng.uniform(0, 0.99)}
        value = 0.5 if flat else 0.9 + 0.05 * np.log10(params["learning_rate"]) + 0.001 * params["dropout"]
        trials.append({"value": value, "params": params, "space": SPACE})
    stopped = {"value": 0.1, "params": trials[0]["params"], "space": SPACE, "state": TrialState.PRUNED}
    write_journal(folder, [{"value": 0.7, "params": {}}, *trials, stopped])  # the first as one of compare_only
    return open_study(RunDir(str(folder)))


def test_the_setting_that_matters_comes_first(tmp_path: Path, space: SearchSpace) -> None:
    verbosity = optuna.logging.get_verbosity()
    found = importances(study_of(tmp_path, 33), space, resamples=2)
    assert found.finished == 33
    first = found.rows[0]
    assert first.parameter == "learning_rate"
    assert first.value is not None
    assert first.value > 0.8
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.value <= first.high
    rows = {row.parameter: row for row in found.rows}
    assert (rows["momentum"].among, rows["momentum"].when) == (11, "optimizer=sgd")
    assert rows["momentum"].value is not None
    assert first.clear
    assert found.any_clear
    assert not rows["dropout"].clear
    assert found.stopped == 1
    assert found.left_out == "1 trial stopped early left out: an objective after fewer epochs"
    assert optuna.logging.get_verbosity() == verbosity


def test_null_among_the_choices_is_tested(tmp_path: Path) -> None:
    space = TEXT.replace("{choice: [adam, sgd]}", "{choice: [adam]}").replace(
        "  momentum: {uniform: [0.0, 0.99], when: {optimizer: sgd}}", "  head_width: {choice: [null, 128]}"
    )
    rng = np.random.default_rng(0)
    trials: list[dict[str, Any]] = [
        {
            "value": 0.9 if i % 2 else 0.6,
            "params": {"learning_rate": 10 ** rng.uniform(-3, -1), "head_width": None if i % 2 else 128},
            "space": SPACE | {"head_width": CategoricalDistribution([None, 128])},
        }
        for i in range(30)
    ]
    write_journal(tmp_path, trials)
    found = importances(open_study(RunDir(str(tmp_path))), parse(space, "two.yaml"), resamples=2)
    rows = {row.parameter: row for row in found.rows}
    assert rows["head_width"].clear
    assert not rows["learning_rate"].clear


def test_a_conditional_setting_of_too_few_trials_has_no_figure(tmp_path: Path, space: SearchSpace) -> None:
    found = importances(study_of(tmp_path, FEWEST), space, resamples=1)
    last = found.rows[-1]
    assert (last.parameter, last.among, last.value, last.low) == ("momentum", 4, None, None)


def test_too_few_trials_and_equal_ones_are_refused(tmp_path: Path) -> None:
    few = importances(study_of(tmp_path, 3))
    assert few.why_not == "3 finished trials: at least 10 are needed"
    assert few.rows == ()
    assert few.stopped == 1
    flat = importances(study_of(tmp_path, 12, flat=True))
    assert flat.why_not == "all finished trials have the same objective"
