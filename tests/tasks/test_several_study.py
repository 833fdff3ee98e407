"""A task of several labels from its search to its report, in this process: every step answers label by label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

import medray
import medray.analyze
from medray.console_tables import interval
from medray.ensemble import Ensemble
from medray.evaluate.print_evaluation import print_result
from medray.runs.rundir import RunDir
from tests.label_set_images import LABELS, label_set_arrays, write_label_set_npz
from tests.report.conftest import Page

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


# -- the report


@pytest.fixture(scope="module")
def page(study: medray.Study) -> Page:
    return Page(Path(study.report(images=False)).read_bytes())


def test_the_report_shows_every_part_and_speaks_of_labels(study: medray.Study, page: Page) -> None:
    assert "can't be shown" not in page.text
    assert "By label" in page.text
    assert "By class" not in page.text
    assert not {"confusion-test", "confusion-val", "confusion-out-of-fold"} & set(page.data)
    scores = study.evaluate().scores
    rows = page.table("Images by label, called from a probability of one half")
    assert [row[1:] for row in rows[1:]] == [[str(n) for n in row] for row in scores.confusion_matrix]
    points = page.table("Operating points sensitivity 0.8 on test")[1:]
    assert [row[0] for row in points] == list(LABELS)
    assert [row[4] for row in points] == [interval(p.test.sensitivity) for p in scores.operating_points]
    sets = page.table("Sets of the answers yes and no at 0.8")[1:]
    assert [row[2] for row in sets] == [interval(of.having) for of in scores.conformal_sets if of.having]
    assert [row[3] for row in sets] == [interval(sets.test.covered) for sets in scores.conformal_sets]
    assert page.data["roc-test"]["class"] == list(LABELS)
    assert page.data["roc-test"]["auc"] == pytest.approx([row.auc.value for row in scores.per_class])
    assert [f"decision-{i}" in page.data for i in range(3)] == [True] * 3
    assert page.data["calibration-test"]["class"] == list(LABELS)
    error = page.data["reliability"]["calibration_error"][page.data["reliability"]["on"].index("test")]
    assert error == pytest.approx(scores.models[0].scores["calibration_error"].value, abs=1e-9)


def test_its_data_and_checklists_count_labels(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("Images by label and split")}
    counts = [[int(cell) for cell in rows[name]] for name in ("no label", "one label", "several labels")]
    assert np.sum(counts, axis=0).tolist() == [int(cell) for cell in rows["all"]]
    assert all(row[-1] for row in counts)
    claim = {row[0]: row[3] for row in page.table("CLAIM")[1:]}
    assert "a sigmoid for each of 3 labels" in claim["22"]
    assert "answers on" in claim["39"]
    assert "class" not in claim["38"]


def test_its_commands_set_each_labels_point_again(page: Page) -> None:
    (command,) = [line for line in page.text.splitlines() if line.startswith("medray ensemble runs/again")]
    assert "--positive" not in command
    assert command.count("--sensitivity 0.8") == command.count("--coverage 0.8") == 1


def test_the_frame_of_predictions_has_the_truth_of_each_label(study: medray.Study) -> None:
    frame = medray.analyze.predictions(study.location)
    for label in LABELS:
        assert str(frame[f"has[{label}]"].dtype) == "boolean"
        true, called = (
            [label in names.split("|") for names in frame[column]] for column in ("label", "predicted")
        )
        assert (frame[f"has[{label}]"].fillna(False) == true).all()
        assert ((frame[f"p[{label}]"] >= 0.5) == called).all()
    trained = frame.set_index("position")[[f"has[{label}]" for label in LABELS]]
    assert trained.isna().any(axis=None)  # what is unknown in train is NA
    own = frame[(frame["trial"] == 0) & frame["fold"].isna()]
    auc = np.mean([roc_auc_score(own[f"has[{label}]"].astype(bool), own[f"p[{label}]"]) for label in LABELS])
    trials = study.trials()
    assert auc == pytest.approx(trials.loc[trials["trial"] == 0, "objective"].item(), abs=1e-6)
