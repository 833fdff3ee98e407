"""The portfolio of a space: it goes after the baselines and before all that is drawn, once, on its share of trials."""

from pathlib import Path

import optuna
import pytest

from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.search.enqueue import enqueue_baselines, enqueue_portfolio
from medray.search.optuna_study import StudyFile
from medray.space.loading import parse

SPACE = """
name: climbed
data: phantom
objective: {metric: auc}
budget: {trials: 20, max_epochs: 4, grace_epochs: 2, reduction_factor: 2, patience: null}
space:
  backbone: {choice: [lenet5, resnet8_small]}
  dropout: {uniform: [0.0, 0.5], when: {backbone: lenet5}}
baselines:
  plain: {backbone: lenet5, dropout: 0.0}
portfolio:
  first: {backbone: resnet8_small}
  second: {backbone: lenet5, dropout: 0.25}
  third: {backbone: lenet5, dropout: 0.5}
"""


def enqueued(folder: Path, trials: int | None, *, baselines_only: bool = False) -> list[str]:
    space, file = parse(SPACE, "climbed.yaml"), StudyFile(RunDir(str(folder)))
    options = ResolvedOptions(
        "phantom", trials, 4, 2, 0, None, baselines_only, 1.0 if trials is None else None, False
    )
    study = file.open(space.mode)
    for _ in range(2):  # the second time is that of a command that resumes
        enqueue_baselines(study, space, options)
        enqueue_portfolio(study, space, options)
    waiting = study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    return [trial.user_attrs.get("baseline") or trial.user_attrs["portfolio"] for trial in waiting]


@pytest.mark.parametrize(
    ("trials", "names"),
    [
        (20, ["plain", "first", "second", "third"]),
        (None, ["plain", "first", "second", "third"]),
        (5, ["plain", "first", "second"]),
        (2, ["plain"]),
    ],
)
def test_it_follows_the_baselines_on_half_of_what_is_left(
    tmp_path: Path, trials: int | None, names: list[str]
) -> None:
    assert enqueued(tmp_path, trials) == names


def test_only_baselines_are_only_baselines(tmp_path: Path) -> None:
    assert enqueued(tmp_path, 20, baselines_only=True) == ["plain"]
