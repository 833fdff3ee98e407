"""A task of several labels from its search to its report, in this process: every step answers label by label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

import medray
from medray.ensemble import Ensemble
from medray.evaluate.print_evaluation import print_result
from medray.runs.rundir import RunDir
from tests.label_set_images import LABELS, label_set_arrays, write_label_set_npz

pytestmark = pytest.mark.component

SPACE = """
name: marks
task: several
data: phantom
objective: {metric: auc}
splits: {calibration: 0.3}
budget: {trials: 3, max_epochs: 6, grace_epochs: 6, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space:
  class_balance: {choice: [none, loss, sampler]}
  mixup: {choice: [0.0, 0.2]}
  learning_rate: {log: [0.005, 0.01]}
fixed: {backbone: resnet8_small, batch_size: 16, label_smoothing: 0.02}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    """A study that was searched, cross-validated, averaged with a point for each label, and read."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "marks.yaml").write_text(SPACE)
    data = write_label_set_npz(folder / "marks.npz")
    study = medray.Study(folder / "marks.yaml", data=data, out=folder / "run", runner="local", quiet=True)
    study.search()
    study.crossval(top=2, folds=2)
    study.ensemble(sensitivity=0.8, coverages=[0.8])
    study.evaluate()
    return study


@pytest.fixture(scope="module")
def ensemble(study: medray.Study) -> Ensemble:
    return study.load_ensemble()


def test_each_label_has_its_temperature_point_and_sets(ensemble: Ensemble) -> None:
    manifest = ensemble.manifest
    assert (manifest.task, manifest.class_names) == ("several", LABELS)
    assert len(manifest.temperatures) == 3
    assert [point.positive for point in ensemble.operating_points] == list(LABELS)
    assert {point.name for point in ensemble.operating_points} == {"sensitivity 0.8"}
    assert [sets.event.name for sets in ensemble.conformal if sets.event] == list(LABELS)


def test_the_ensemble_learns_each_label_and_says_so_of_new_images(ensemble: Ensemble) -> None:
    images, labels = label_set_arrays(200, seed=9)
    probabilities = ensemble.predict(images).probabilities
    assert probabilities.shape == (200, 3)
    assert (np.abs(probabilities.sum(axis=1) - 1) > 0.1).mean() > 0.5  # each label is a question of its own
    for column, point in enumerate(ensemble.operating_points):
        assert roc_auc_score(labels[:, column], probabilities[:, column]) > 0.9
        called = point.decide(probabilities)
        assert called[labels[:, column] == 1].mean() > 0.65
    assert np.abs(probabilities.mean(axis=0) - labels.mean(axis=0)).max() < 0.12


def test_the_scores_are_those_of_the_stored_predictions(study: medray.Study) -> None:
    evaluation = study.evaluate()
    scores = evaluation.scores
    predictions, labels = evaluation.read.predictions()
    table = predictions["ensemble"].astype(float)
    by_label = [roc_auc_score(labels[:, i], table[:, i]) for i in range(3)]
    ensemble = scores.models[0].scores
    assert ensemble["auc"].value == pytest.approx(np.mean(by_label), abs=1e-9)
    assert ensemble["auc"].low is not None
    assert ensemble["exact_match"].value == pytest.approx(((table >= 0.5) == labels).all(axis=1).mean())
    assert [row.auc.value for row in scores.per_class] == pytest.approx(by_label, abs=1e-9)
    for column, (row, point) in enumerate(zip(scores.confusion_matrix, scores.operating_points, strict=True)):
        assert sum(row) == len(labels)
        assert row[0] + row[1] == labels[:, column].sum()
        called = table[:, column] >= point.threshold
        assert point.test.tp == (called & (labels[:, column] == 1)).sum()
    assert {row.metric for row in scores.comparisons} == {"auc", "exact_match"}
    assert scores.reviewed.mcc is None


def test_folds_keep_their_scores_and_the_labels_that_they_doubt(study: medray.Study) -> None:
    assert {"auc", "average_precision"} <= set(study.folds().columns)
    issues = pd.read_csv(Path(RunDir(study.location).path("crossval/label_issues.csv")))
    assert set(issues["label"].str.split(n=1).str[0]) <= {"with", "without"}


def test_tables_have_a_row_for_each_label(study: medray.Study, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(study.evaluate(), Console(width=100))
    out = capsys.readouterr().out
    for title in (
        "Operating points sensitivity 0.8 on test",
        "Sets of the answers yes and no at 0.8",
        "avg. precision",
    ):
        assert title in out
    assert "kappa" not in out
