"""Linear heads take a second each: a search does not end with a hundred of them and nothing else."""

from collections import Counter
from pathlib import Path

import pytest

from medray.search.head_count import ENOUGH, HeadCount
from medray.search.ledger import Ledger
from medray.search.time_limit import TrialKind
from tests.search.simulated import Clock, ledger_in, run_all

MIXED = """
name: timed
data: phantom
objective: {metric: auc}
budget: {trials: 50, max_epochs: %d, grace_epochs: %d, reduction_factor: 2, patience: null}
space:
  backbone: {choice: [resnet18, lenet5, cnn5]}
  pretrained:
    - {choice: [true], when: {backbone: [resnet18]}}
  trainable_blocks:
    - {choice: [0], when: {backbone: [resnet18]}}
  optimizer:
    - {choice: [lbfgs], when: {backbone: [resnet18]}}
    - {choice: [adam], when: {backbone: [lenet5, cnn5]}}
  weight_decay:
    - {log: [1.0e-6, 0.001], when: {optimizer: lbfgs}}
  dropout:
    - {uniform: [0.0, 0.5], when: {optimizer: adam}}
baselines:
  plain: {backbone: lenet5, optimizer: adam, dropout: 0.0}
"""
SECONDS = {"resnet18": 0.1, "lenet5": 2.0, "cnn5": 3.0}
HEAD, OTHER = TrialKind("vit", 64, 0, True), TrialKind("lenet5")


def begun(ledger: Ledger) -> Counter[str]:
    return Counter(record.settings["optimizer"] for record in ledger.records.values())


def head_is_best(ledger: Ledger) -> None:
    """Run the search; heads are ahead of all else, as they are of networks that have been trained for a few epochs."""

    def objective(number: int) -> float:
        folder = ledger.run.trial(number)
        settings = folder.read_json(folder.CONFIG)
        return 0.95 if settings["optimizer"] == "lbfgs" else 0.6 + 0.001 * (number % 7)

    clock = ledger.limit.now
    assert isinstance(clock, Clock)
    run_all(ledger, clock, SECONDS, objective)


@pytest.mark.parametrize(("hours", "trials"), [(0.1, None), (None, 40)])
def test_at_most_half_of_the_trials_are_heads_on_one_network(
    tmp_path: Path, hours: float | None, trials: int | None
) -> None:
    ledger = ledger_in(tmp_path, Clock(), hours, trials=trials, text=MIXED)
    head_is_best(ledger)
    counts = begun(ledger)
    assert ENOUGH <= counts["lbfgs"] <= max(ENOUGH, counts["adam"])
    assert counts["adam"] >= 15
    assert trials is None or counts.total() == trials


def test_what_waited_is_counted_once_and_goes_on_after_a_resume(tmp_path: Path) -> None:
    head_is_best(ledger_in(tmp_path, Clock(), None, trials=20, text=MIXED))
    again = ledger_in(tmp_path, Clock(), None, trials=40, text=MIXED)
    assert again.head_count.heads.total() == begun(again)["lbfgs"]
    head_is_best(again)
    assert begun(again).total() == 40
    assert begun(again)["lbfgs"] <= max(ENOUGH, begun(again)["adam"])


def test_where_only_heads_are_searched_none_waits() -> None:
    count = HeadCount()
    count.begin(0, OTHER, baseline=True)
    for number in range(1, 100):
        count.begin(number, HEAD, baseline=False)
    assert not count.is_enough(HEAD)
    count.begin(100, OTHER, baseline=False)
    assert count.is_enough(HEAD)
    assert not count.is_enough(OTHER)
    assert not count.is_enough(TrialKind("vit", 128, 0, True))
    for number in range(101, 200):
        count.begin(number, OTHER, baseline=False)
    assert not count.is_enough(HEAD)
