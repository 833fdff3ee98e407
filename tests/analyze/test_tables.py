"""The tables: what the search gained, what ASHA saved, what failed, where the time went."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import medray.analyze
from medray.analyze.asha_savings import asha_savings
from medray.analyze.baselines import compare_with_baseline
from medray.analyze.failures import failure_groups
from medray.analyze.journal import open_study
from medray.analyze.open_runs import RunSnapshot, open_runs
from medray.analyze.times import time_spent
from medray.data.dataset import ImageDataset
from medray.errors import RunError
from medray.runs.selection_facts import SelectionComparison, SelectionFacts, WeightedMember
from tests.analyze.conftest import edit, predict


def snapshot(run: Path) -> RunSnapshot:
    (one,) = open_runs([str(run)])
    return one


def test_the_best_searched_trial_and_the_ensembles_beside_the_best_baseline(run: Path) -> None:
    for number, objective in enumerate((0.8, 0.7, 0.9, 0.85)):
        edit(run / f"trials/{number:04d}/trial.json", objective=objective)
    members = [WeightedMember(2, None, 0.5), WeightedMember(3, None, 0.5)]
    selections = [
        SelectionFacts(strategy, source, "val", 24, (1.0,), "val", tuple(members[:count]), {"auc": auc}, {})
        for strategy, source, count, auc in (
            ("single", "trials", 1, 0.9), ("top-k", "trials", 2, 0.95), ("folds", "folds", 2, 0.99),
        )
    ]  # fmt: skip
    comparison = SelectionComparison("auc", 1, tuple(selections))
    (run / "selection.json").write_text(json.dumps(comparison.to_dict()))
    few = compare_with_baseline(snapshot(run))
    assert few is not None
    assert few.images == 24
    assert [(c.difference, c.low, c.high) for c in few.entries] == [(None, None, None)] * 3
    assert few.no_interval is not None
    assert few.no_interval.startswith("too few images")

    labels, tables = predict(run, {0: 0.5, 2: 2.0, 3: 1.5})
    comparison = compare_with_baseline(snapshot(run))
    assert comparison is not None
    assert [(c.name, c.trials) for c in comparison.entries] == [
        ("best baseline (plain)", (0,)), ("best searched trial", (2,)), ("ensemble (top-k)", (2, 3)),
    ]  # fmt: skip
    assert (comparison.images, comparison.no_interval) == (len(labels), None)
    baseline, searched, ensemble = comparison.entries
    assert (baseline.difference, baseline.low) == (None, None)
    zero = roc_auc_score(labels, tables[0][:, 1])
    assert searched.difference == pytest.approx(roc_auc_score(labels, tables[2][:, 1]) - zero)
    mean = (tables[2] + tables[3])[:, 1]
    assert ensemble.difference == pytest.approx(roc_auc_score(labels, mean) - zero, abs=1e-6)
    for entry in (searched, ensemble):
        assert entry.low is not None
        assert entry.high is not None
        assert entry.difference is not None
        assert entry.low < entry.difference < entry.high < entry.low + 0.4


def test_where_patients_are_known_a_difference_takes_the_data_that_tell_whose_images_are(run: Path) -> None:
    labels, _ = predict(run, {0: 0.5, 1: 0.5, 2: 2.0, 3: 1.5})
    for number, objective in enumerate((0.8, 0.7, 0.9, 0.85)):
        edit(run / f"trials/{number:04d}/trial.json", objective=objective)
    edit(run / "data.json", patients=20)
    without = compare_with_baseline(snapshot(run))
    assert without is not None
    assert {entry.difference for entry in without.entries} == {None}
    assert "the patient of each image" in (without.no_interval or "")
    widths = []
    for patients in (np.arange(80), np.arange(80) // 4, np.arange(80) // 40):
        shape = np.zeros((80, 1, 1, 1), np.uint8)
        dataset = ImageDataset(shape, labels, ("0", "1"), {"val": np.arange(80)}, "made up", groups=patients)
        comparison = compare_with_baseline(snapshot(run), dataset)
        assert comparison is not None
        searched = comparison.entries[1]
        widths.append(None if searched.low is None or searched.high is None else searched.high - searched.low)
    assert widths[2] is None  # two patients
    assert widths[0] != widths[1]
    assert comparison.no_interval is not None
    assert "too few images or patients" in comparison.no_interval


def test_a_loss_that_fell_is_a_gain(run: Path) -> None:
    edit(run / "run.json", metric="log_loss")
    labels, tables = predict(run, {0: 0.5, 1: 2.0})
    for number, objective in enumerate((0.8, 0.7, 0.9, 0.85)):
        edit(run / f"trials/{number:04d}/trial.json", objective=objective)
    comparison = compare_with_baseline(snapshot(run))
    assert comparison is not None
    assert comparison.entries[1].trials == (1,)
    searched = comparison.entries[1]
    assert searched.difference == pytest.approx(
        log_loss(labels, tables[0]) - log_loss(labels, tables[1]), abs=1e-6
    )
    assert searched.low is not None
    assert searched.high is not None
    assert searched.low < searched.difference < searched.high
    assert comparison.baseline_monitor == "auc"
    assert medray.analyze.trials(str(run))["rank"].tolist() == [2, 1, 4, 3]


def test_without_a_baseline_there_is_nothing_to_compare(run: Path) -> None:
    edit(run / "trials/0000/trial.json", baseline=None)
    assert compare_with_baseline(snapshot(run)) is None


def test_what_asha_saved_is_each_trials_own_pace(run: Path, stop: Callable[[int, int], None]) -> None:
    stop(1, 12)
    stop(2, 2)  # it had reached its last epoch
    edit(run / "trials/0001/trial.json", seconds=5.0)
    saved = asha_savings(snapshot(run).records)
    assert [t.trial for t in saved.trials] == [1, 2]
    assert saved.trials[0].seconds_saved == pytest.approx(10 * 2.5)
    assert saved.epochs_saved == 10
    assert saved.epochs_trained == 8


def test_reasons_that_differ_in_numbers_are_one(run: Path) -> None:
    for number, reason in (
        (1, "the loss became nan in epoch 3"),
        (2, "the loss became nan in epoch 12"),
        (3, "x"),
    ):
        edit(run / f"trials/{number:04d}/trial.json", state="failed", reason=reason)
    folds = sorted((run / "crossval").glob("*/fold_1/trial.json"))
    edit(folds[0], state="failed", reason="x")
    one = snapshot(run)
    first, second = failure_groups([*one.trials, *one.folds])
    assert (first.reason, first.trainings) == ("the loss became nan in epoch 3", ("1", "2"))
    assert second.trainings == ("3", f"{int(folds[0].parts[-3])} fold 1")


def test_time_is_the_epochs_own(run: Path) -> None:
    one = snapshot(run)
    (run / "tune/start-0").mkdir(parents=True)
    (run / "tune/start-1").mkdir()
    spent = time_spent(one, open_study(one.run))
    assert [(s.kind, s.trainings) for s in spent.spent] == [("finished trials", 4), ("folds", 6)]
    assert spent.spent[0].seconds == pytest.approx(sum(r.seconds for r in one.records))
    assert spent.spent[0].epochs == 8
    assert spent.resumed == 1


def test_the_study_is_a_copy(run: Path) -> None:
    before = (run / "study.journal").read_bytes()
    (run / "study.journal").write_bytes(before + b'{"op_code": 4, "wor')  # torn by a kill
    study = medray.analyze.study(str(run))
    assert [t.value for t in study.trials] == [r.objective for r in snapshot(run).records]
    study.add_trial(study.trials[0])
    assert len(study.trials) == 5
    assert len(medray.analyze.study(str(run)).trials) == 4
    assert not (run / "study.journal.lock").exists()
    (run / "study.journal").unlink()
    with pytest.raises(RunError, match=r"study\.journal is missing"):
        medray.analyze.study(str(run))


def test_the_result_grid_has_every_trial_with_all_its_epochs(run: Path) -> None:
    for number, objective in enumerate((0.8, 0.7, 0.9, 0.95)):
        path = run / f"trials/{number:04d}/epochs.jsonl"
        lines = [json.loads(line) | {"objective": objective} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    edit(run / "trials/0003/trial.json", state="failed", reason="the loss became nan")
    (run / "trials/0001/trial.json").unlink()
    before = sorted(run.rglob("*"))
    grid = medray.analyze.result_grid(str(run))
    assert len(grid) == 4
    assert [str(error) for error in grid.errors] == ["the loss became nan"]
    best = grid.get_best_result()
    assert best.path == str(run / "trials/0002")
    assert best.config["backbone"] == "lenet5"
    assert (
        best.metrics_dataframe["accuracy"].tolist()
        == medray.analyze.epochs(str(run)).query("trial == 2")["accuracy"].tolist()
    )
    assert best.checkpoint.path == str(run / "trials/0002")
    assert grid.get_dataframe()["objective"].tolist()[:3] == [0.8, 0.7, 0.9]
    assert sorted(run.rglob("*")) == before
