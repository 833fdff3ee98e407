"""Cases of several images from the search to the report, in this process: whatever is said is said by case."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import medray
from medray._types import Array
from medray.evaluate.print_evaluation import LEVELS_TITLE, print_result
from medray.runs.rundir import RunDir
from medray.search.print_search import print_leaderboard
from medray.serving.engine.served_model import ServedModel
from medray.stats.metrics import all_metrics
from tests.case_samples import case_arrays, write_case_npz
from tests.report.conftest import Page
from tests.serving.conftest import listening, png

pytestmark = pytest.mark.component

SPACE = """
name: films
data: phantom
objective: {metric: auc}
cases: {by: patient, answer: mean}
splits: {calibration: 0.35}
budget: {trials: 2, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space:
  learning_rate: {log: [0.005, 0.01]}
fixed: {backbone: resnet8_small, batch_size: 32}
baselines:
  plain: {learning_rate: 0.005}
"""
PATIENTS = {"train": 120, "val": 40, "test": 60}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case_npz(tmp_path_factory.mktemp("films") / "films.npz", **PATIENTS)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, data: Path) -> medray.Study:
    """A study that was searched, cross-validated, averaged and read, by patients of three images each."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "films.yaml").write_text(SPACE)
    study = medray.Study(folder / "films.yaml", data=str(data), out=folder / "run", runner="local", quiet=True)
    study.search()
    study.crossval(top=1, folds=2)
    study.ensemble(sensitivity=0.8, positive="1", coverages=[0.8])
    study.evaluate()
    return study


def by_patient(table: Array, groups: Array) -> Array:
    return np.array([table[groups == patient].mean(axis=0) for patient in np.unique(groups)])


def test_an_epoch_is_measured_by_case_and_its_file_holds_images(study: medray.Study, data: Path) -> None:
    with np.load(data) as arrays:
        groups, labels = arrays["val_groups"], arrays["val_labels"]
    run = RunDir(study.location)
    for record in run.records():
        with np.load(Path(run.trial(record.number).path("val_predictions.npz"))) as stored:
            assert len(stored["probabilities"]) == 3 * PATIENTS["val"]
            assert (stored["labels"] == labels).all()
            answers = by_patient(stored["probabilities"].astype(float), groups)
            by_image = all_metrics(stored["probabilities"], labels)["log_loss"]
        expected = all_metrics(answers.astype(np.float32), by_patient(labels[:, None], groups)[:, 0].astype(int))
        assert record.metrics["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-6)
        assert record.objective == pytest.approx(expected["auc"], abs=1e-9)
        assert record.metrics["log_loss"] != pytest.approx(by_image, abs=1e-4)


def test_decisions_are_set_on_cases_of_the_calibration_split(study: medray.Study) -> None:
    manifest, facts = study.load_ensemble().manifest, RunDir(study.location).read_data()
    assert manifest.cases is not None
    assert (manifest.cases.by, manifest.cases.answer) == ("patient", "mean")
    assert facts.splits["calibration"].images == 3 * (facts.splits["calibration"].cases or 0)
    assert {point.images for point in manifest.operating_points} == {facts.splits["calibration"].cases}
    assert {sets.images for sets in manifest.conformal_sets} == {facts.splits["calibration"].cases}
    pool = (facts.splits["train"].cases or 0) + (facts.splits["val"].cases or 0)
    assert manifest.selected_on.images == pool
    assert manifest.operating_points[0].promised == 0.8


def test_folds_keep_cases_together_and_are_summed_up_by_case(study: medray.Study, data: Path) -> None:
    with np.load(data) as arrays:
        groups = np.concatenate([arrays[f"{split}_groups"] for split in PATIENTS])
    crossval = RunDir(study.location).crossval
    for fold in crossval.read_folds().folds:
        assert not np.intersect1d(groups[fold.train], groups[fold.val]).size
    (number,) = crossval.read_plan().trials
    summary = crossval.read_summary(number)
    assert summary.images == 3 * (summary.cases or 0)
    assert np.sum(summary.confusion_matrix) == summary.cases
    assert [np.sum(fold.confusion_matrix) for fold in summary.folds] == [fold.cases for fold in summary.folds]


def test_the_evaluation_is_of_cases_with_the_images_beside(study: medray.Study, data: Path) -> None:
    scores = study.evaluate().scores
    assert scores.cases is not None
    assert (scores.images, scores.answered, scores.patients) == (180, 60, 60)
    assert np.sum(scores.confusion_matrix) == 60
    assert [point.test.images for point in scores.operating_points] == [60]
    with np.load(data) as arrays:
        images, groups, labels = arrays["test_images"], arrays["test_groups"], arrays["test_labels"]
    ensemble = study.load_ensemble()
    by_case, by_image = ensemble.predict(images, groups), ensemble.predict(images)
    stored, stored_labels = study.evaluate().read.predictions()
    first = np.sort(np.unique(groups, return_index=True)[1])  # cases come in the order of their first images
    assert by_case.probabilities == pytest.approx(stored["ensemble"], abs=1e-6)
    assert (labels[first] == stored_labels).all()
    expected = all_metrics(by_image.probabilities, labels)
    for name in ("auc", "accuracy", "log_loss"):
        assert scores.cases.by_image[name].value == pytest.approx(expected[name], abs=1e-6)
    auc = scores.models[0].scores["auc"]
    assert auc.value is not None
    assert auc.value > scores.cases.by_image["auc"].value + 0.03  # three faint images say more than one


def test_an_image_alone_is_a_case_of_its_own(study: medray.Study) -> None:
    images, _, _ = case_arrays(5, 1, seed=9)
    ensemble = study.load_ensemble()
    alone = ensemble.predict(images, np.array(["", "b", "c", "nan", "e"]))
    assert (alone.probabilities == ensemble.predict(images).probabilities).all()


def test_a_service_answers_a_case_as_the_ensemble_does(study: medray.Study) -> None:
    images, _, _ = case_arrays(1, 4, seed=11)
    expected = study.load_ensemble().predict(images, np.zeros(4))
    files = [("file", (f"{number}.png", png(image), "image/png")) for number, image in enumerate(images)]
    with listening(ServedModel.load(study.location, "films")) as site:
        assert site.client.get("/metadata").json()["cases"] == {"by": "patient", "answer": "mean"}
        case = site.client.post("/predict", files=files, params={"case": "true"}).json()["case"]
    assert list(case["probabilities"].values()) == pytest.approx(expected.probabilities[0], abs=1e-5)
    assert case["label"] == expected.names[0]
    assert [decision["positive"] for decision in case["decisions"]] == expected.decide().tolist()
    assert case["sets"][0]["classes"] == [expected.class_names[i] for i in np.flatnonzero(expected.sets()[0])]
    assert [image["weight"] for image in case["images"]] == [0.25] * 4


def test_files_are_predicted_by_case(study: medray.Study, tmp_path: Path) -> None:
    images, _, numbers = case_arrays(5, 3, seed=12)
    for position, (image, number) in enumerate(zip(images, numbers, strict=True)):
        (tmp_path / f"p{number}").mkdir(exist_ok=True)
        (tmp_path / f"p{number}" / f"{position}.png").write_bytes(png(image))
    frame = study.predict_files(tmp_path, by=r"p(\d)/").set_index("case")
    expected = study.predict(images, numbers)
    first = dict.fromkeys(map(str, numbers.tolist()))
    assert frame.loc[list(first), ["0", "1"]].to_numpy() == pytest.approx(expected.probabilities, abs=1e-5)
    assert frame["weight"].tolist() == pytest.approx([1 / 3] * 5, abs=1e-4)


def test_every_table_says_what_it_is_by(study: medray.Study, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(study.evaluate(), Console(width=160))
    out = capsys.readouterr().out
    assert "60 test cases, each the mean of all images of one patient (180 images of 60 patients)" in out
    assert LEVELS_TITLE in out
    rule = RunDir(study.location).read_data().cases
    print_leaderboard(list(RunDir(study.location).records()), "auc", Console(width=160), cases=rule)
    assert "Leaderboard, by auc on validation, by patient" in capsys.readouterr().out
    page = Page(Path(study.report(images=False)).read_bytes())
    table = next(rows for caption, rows in page.tables.items() if caption.startswith(LEVELS_TITLE))
    assert [row[0] for row in table[1:]] == ["60 cases", "180 images"]
    assert "60 test cases, each the mean of all images of one patient" in page.text
