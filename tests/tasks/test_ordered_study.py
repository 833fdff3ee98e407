"""An ordered task from its search to a POST, in this process: every step speaks of grades and cuts."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import medray
from medray.ensemble import Ensemble
from medray.evaluate.external.print_external import print_external
from medray.evaluate.print_evaluation import CUTS_TITLE, print_result
from medray.runs.rundir import RunDir
from medray.serving.engine.served_model import ServedModel
from tests.graded_samples import graded_arrays, write_graded_npz
from tests.report.conftest import Page
from tests.serving.conftest import Site, listening, png

pytestmark = pytest.mark.component

SPACE = """
name: grades
task: ordered
data: phantom
objective: {metric: quadratic_kappa}
splits: {calibration: 0.3}
budget: {trials: 3, max_epochs: 5, grace_epochs: 5, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space:
  loss: {choice: [cross_entropy, cumulative, corn]}
  learning_rate: {log: [0.005, 0.01]}
fixed: {backbone: resnet8_small, batch_size: 16}
baselines:
  plain: {learning_rate: 0.005, loss: corn}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    """A study that was searched, cross-validated, averaged with a cut and read."""
    folder = tmp_path_factory.mktemp("ordered")
    (folder / "grades.yaml").write_text(SPACE)
    data = write_graded_npz(folder / "grades.npz", grades=4, train=220, other=80)
    study = medray.Study(folder / "grades.yaml", data=data, out=folder / "run", runner="local", quiet=True)
    study.search()
    study.crossval(top=2, folds=2)
    study.ensemble(sensitivity=0.8, positive="2", coverages=[0.8])
    study.evaluate()
    return study


@pytest.fixture(scope="module")
def ensemble(study: medray.Study) -> Ensemble:
    return study.load_ensemble()


def test_every_step_is_of_the_task(study: medray.Study, ensemble: Ensemble) -> None:
    assert ensemble.manifest.task == "ordered"
    assert set(study.trials()["loss"]) == {"cumulative", "corn", "cross_entropy"}
    assert {member.train_config.task for member in ensemble.manifest.members} == {"ordered"}
    (point,) = ensemble.operating_points
    assert (point.event.name, point.event.class_index, point.event.and_above) == ("2 or more", 2, True)
    assert [sets.method for sets in ensemble.conformal] == ["interval"] * len(ensemble.conformal)
    scores = study.evaluate().scores
    assert scores.models[0].scores["quadratic_kappa"].value > 0.7
    assert {"within_one", "grade_error"} <= set(scores.models[0].scores)
    assert scores.reviewed.weighted_kappa is None
    assert [curve.event.name for curve in scores.reviewed.decision_curves] == ["2 or more"]
    assert {"quadratic_kappa", "grade_error"} <= set(study.folds().columns)


def test_each_cut_has_its_auc(study: medray.Study) -> None:
    from sklearn.metrics import roc_auc_score

    evaluation = study.evaluate()
    scores = evaluation.scores
    predictions, labels = evaluation.read.predictions()
    table = predictions["ensemble"].astype(float)
    assert [cut.event.name for cut in scores.cuts] == ["1 or more", "2 or more", "3"]
    for grade, cut in enumerate(scores.cuts, start=1):
        expected = roc_auc_score(labels >= grade, table[:, grade:].sum(axis=1).clip(0, 1))
        assert cut.auc.value == pytest.approx(expected, abs=1e-9)
        assert cut.images == (labels >= grade).sum()
        assert cut.auc.low is not None
        assert cut.auc.low < cut.auc.value < 1.0000001


def test_predictions_of_files_and_grad_cam_are_of_the_same_ensemble(
    study: medray.Study, ensemble: Ensemble, tmp_path: Path
) -> None:
    images, labels = graded_arrays(40, 4, seed=9)
    for number, image in enumerate(images):
        (tmp_path / f"{number:02}.png").write_bytes(png(image))
    frame = study.predict_files(tmp_path)
    expected = ensemble.predict(images)
    assert frame["label"].tolist() == expected.names
    assert frame[["0", "1", "2", "3"]].to_numpy() == pytest.approx(expected.probabilities, abs=1e-5)
    assert (np.abs(expected.labels - labels) <= 1).mean() > 0.9
    called = expected.decide()
    (point,) = ensemble.operating_points
    assert (called == (expected.probabilities[:, 2:].sum(axis=1, dtype=float) >= point.threshold)).all()
    assert called[labels == 3].mean() > 0.8 > 0.2 > called[labels == 0].mean()
    sets = expected.sets()
    assert (np.abs(np.diff(sets.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) == 2).all()


def test_the_report_and_the_evaluation_show_the_cuts(
    study: medray.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Page(Path(study.report(images=False)).read_bytes())
    table = next(rows for caption, rows in page.tables.items() if caption.startswith(CUTS_TITLE))
    assert table[0] == [
        "cut", "images", "AUC", "sensitivity (sensitivity 0.8)", "specificity (sensitivity 0.8)",
    ]  # fmt: skip
    assert [row[0] for row in table[1:]] == ["1 or more", "2 or more", "3"]
    assert [row[3] != "–" for row in table[1:]] == [False, True, False]
    assert "are grades, kappa" not in page.text

    print_result(study.evaluate(), Console(width=160))
    out = capsys.readouterr().out
    assert CUTS_TITLE in out
    assert "quadr. kappa" in out
    assert "are grades" not in out


def test_another_hospitals_grades_have_kappa_and_cuts_beside_the_internal_ones(
    study: medray.Study, ensemble: Ensemble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their words for grades, a third of the highest grade ungradable, nothing selected by them."""
    from sklearn.metrics import cohen_kappa_score, roc_auc_score

    images, labels = graded_arrays(160, 4, seed=21, mistaken=0.2)
    words = ("normal", "mild", "moderate", "severe")
    rows = ["image,label"]
    left_out = (labels == 3) & (np.arange(160) % 3 == 0)
    for number, image in enumerate(images):
        (tmp_path / f"{number:03}.png").write_bytes(png(image))
        rows.append(f"{number:03}.png,{'ungradable' if left_out[number] else words[labels[number]]}")
    (tmp_path / "other.csv").write_text("\n".join(rows))
    class_map = {word: str(grade) for grade, word in enumerate(words)} | {"ungradable": None}
    reads = study.evaluate().reads.total
    evaluation = study.evaluate_external(f"csv:{tmp_path / 'other.csv'}", class_map=class_map)
    figures, comparison = evaluation.scores.figures, evaluation.comparison
    kept = ensemble.predict(images[~left_out])
    truth, table = labels[~left_out], kept.probabilities.astype(float)
    assert figures.images == len(truth) == 160 - left_out.sum()
    kappa = cohen_kappa_score(truth, kept.labels, weights="quadratic")
    assert figures.scores["quadratic_kappa"].value == pytest.approx(kappa, abs=1e-9)
    assert figures.scores["grade_error"].value == pytest.approx(np.abs(truth - kept.labels).mean(), abs=1e-9)
    assert [cut.event.name for cut in figures.cuts] == ["1 or more", "2 or more", "3"]
    for grade, cut in enumerate(figures.cuts, start=1):
        expected = roc_auc_score(truth >= grade, table[:, grade:].sum(axis=1).clip(0, 1))
        assert (cut.auc.value, cut.images) == (pytest.approx(expected, abs=1e-9), (truth >= grade).sum())
    (point,) = figures.operating_points
    called = table[:, 2:].sum(axis=1) >= point.threshold
    assert point.positive == "2 or more"
    assert point.test.sensitivity.value == pytest.approx(called[truth >= 2].mean())
    assert comparison is not None
    for pair in (*comparison.cut_auc.values(), comparison.scores["quadratic_kappa"]):
        assert pair.external.value is not None and pair.internal.value is not None  # noqa: PT018
        assert pair.difference.value == pytest.approx(pair.external.value - pair.internal.value)
        assert pair.difference.low is not None
        assert pair.difference.low < pair.difference.value < (pair.difference.high or 0)
    assert study.evaluate().reads.total == reads, "the test split is not read"
    assert figures == study.evaluate_external(f"csv:{tmp_path / 'other.csv'}", class_map=class_map).scores.figures
    print_external(evaluation, Console(width=140))
    shown = capsys.readouterr().out
    assert "AUC of each cut, each grade and above against those below" in shown
    assert "quadr. kappa" in shown
    assert "AUC of each cut, each grade and above" in Path(study.report(images=False)).read_text()


def test_another_hospital_without_the_highest_grade_says_so(study: medray.Study, tmp_path: Path) -> None:
    images, labels = graded_arrays(90, 4, seed=22)
    (tmp_path / "images").mkdir()
    rows = ["image,label"]
    for number in np.flatnonzero(labels < 3).tolist():
        (tmp_path / "images" / f"{number:03}.png").write_bytes(png(images[number]))
        rows.append(f"{number:03}.png,{labels[number]}")
    (tmp_path / "images" / "other.csv").write_text("\n".join(rows))
    figures = study.evaluate_external(f"csv:{tmp_path / 'images/other.csv'}").scores.figures
    assert figures.missing_classes == ("3",)
    assert [cut.auc.value is None for cut in figures.cuts] == [False, False, True]
    assert figures.cuts[2].auc.reason == "0 images of a class: too few"
    assert figures.scores["quadratic_kappa"].value is not None


# -- the service


@pytest.fixture(scope="module")
def site(study: medray.Study) -> Iterator[Site]:
    with listening(ServedModel.load(study.location, "grades")) as started:
        yield started


def test_the_service_answers_with_the_event_and_its_probability(site: Site, ensemble: Ensemble) -> None:
    images, _ = graded_arrays(8, 4, seed=3)
    expected = ensemble.predict(images)
    for row, image in enumerate(images):
        answer = site.predict(png(image), params={"explain": "true"})
        assert answer.status_code == 200, answer.text
        (prediction,) = answer.json()["predictions"]
        assert list(prediction["probabilities"].values()) == pytest.approx(expected.probabilities[row], abs=1e-5)
        (decision,) = prediction["decisions"]
        assert (decision["event"], decision["class"]) == ("2 or more", "2")
        assert decision["probability"] == pytest.approx(expected.probabilities[row, 2:].sum(), abs=1e-5)
        assert decision["positive"] == (decision["probability"] >= decision["threshold"])
        assert prediction["overlay"].startswith("data:image/png")
        (grades,) = prediction["sets"]
        inside = [int(name) for name in grades["classes"]]
        assert inside == list(range(inside[0], inside[-1] + 1))


def test_its_metadata_and_description_name_the_task_and_no_class_that_is_none(site: Site) -> None:
    facts = site.client.get("/metadata").json()
    assert facts["task"] == "ordered"
    assert [
        (point["positive"], point["class_index"], point["and_above"]) for point in facts["operating_points"]
    ] == [("2 or more", 2, True)]
    described = json.dumps(site.client.get("/openapi.json").json())
    assert '"event": "2 or more", "class": "2"' in described


def test_the_run_names_its_label_issues(study: medray.Study) -> None:
    assert RunDir(study.location).exists("crossval/label_issues.csv")
