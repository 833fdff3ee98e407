"""`medray evaluate --external` of a run that answers by case: by case too, or not at all."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import medray
from medray._types import Array
from medray.data.load_data import load_data
from medray.errors import MedrayError
from medray.evaluate.external.print_external import print_external
from medray.evaluate.external.run_external import ExternalEvaluation, ExternalOptions, run_external
from tests.case_samples import case_arrays
from tests.evaluate.external.conftest import write_images
from tests.studied_runs import case_study

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    study = case_study(tmp_path_factory.mktemp("cases"))
    study.evaluate()
    return study


def read(study: medray.Study, source: str, *maps: str, again: bool = True) -> ExternalEvaluation:
    return run_external(ExternalOptions(study.location, source, maps, again), Console(file=io.StringIO()))


def test_the_own_test_split_has_the_internal_figures_by_case(study: medray.Study, tmp_path: Path) -> None:
    dataset = load_data(str(study.data))
    rows = dataset.splits["test"]
    assert dataset.groups is not None
    images, labels, patients = dataset.images[rows], dataset.labels[rows], dataset.groups[rows]
    source = write_images(tmp_path / "own", images, list(map(str, labels)), [f"p{p}" for p in patients])
    evaluation = read(study, source)
    comparison, figures = evaluation.comparison, evaluation.scores.figures
    assert (figures.images, figures.cases, figures.patients) == (120, 40, 40)
    assert np.sum(figures.confusion_matrix) == 40
    assert [point.test.images for point in figures.operating_points] == [40]
    assert comparison is not None
    for row in [*comparison.scores.values(), *comparison.sensitivity.values(), *comparison.coverage.values()]:
        assert row.external.value == pytest.approx(row.internal.value, abs=1e-6)
    shown = io.StringIO()
    print_external(evaluation, Console(file=shown, width=100))
    text = " ".join(shown.getvalue().split())
    assert "40 cases, each the mean of all images of one patient (120 images of 40 patients)" in text
    assert "test split, 40 cases, as it was read" in text
    assert "promised for cases like those that set the threshold" in text
    assert "for images like those" not in text


def test_cases_are_measured_as_the_ensemble_answers_them_whatever_the_order(
    study: medray.Study, tmp_path: Path
) -> None:
    images, labels, patients = case_arrays(120, 2, seed=31)
    names, words = [f"q{p}" for p in patients], list(map(str, labels))
    order = np.random.default_rng(5).permutation(len(labels)).tolist()
    first = read(study, write_images(tmp_path / "a", images, words, names)).scores
    second = read(study, write_images(tmp_path / "b", images, words, names, order=order)).scores
    assert first.figures == second.figures
    assert first.recalibration == second.recalibration
    assert (first.recalibration.fitted + first.recalibration.measured) == 120
    _, start = np.unique(patients, return_index=True)
    called = study.load_ensemble().predict(images, patients).labels
    expected = called == labels[np.sort(start)]
    assert first.figures.scores["accuracy"].value == pytest.approx(expected.mean())
    assert first.shifts is not None
    assert [row.external.total for row in first.shifts.classes] == [120, 120]


def test_a_copy_takes_its_case_out(study: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(40, 2, seed=32)
    dataset = load_data(str(study.data))
    images[7] = dataset.images[dataset.splits["train"][0]]
    source = write_images(tmp_path / "copied", images, list(map(str, labels)), [f"q{p}" for p in patients])
    copies = read(study, source).scores.copies
    assert copies is not None
    assert (copies.seen, copies.left_out, copies.images) == (1, 2, 78)
    assert copies.figures is not None
    assert (copies.figures.cases, copies.figures.images) == (39, 78)


def test_cases_whose_classes_differ_are_left_out_as_the_run_does(study: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(40, 2, seed=33)
    words = list(map(str, labels))
    words[3] = str(1 - labels[3])
    source = write_images(tmp_path / "differing", images, words, [f"q{p}" for p in patients])
    scores = read(study, source).scores
    assert (scores.figures.cases, scores.figures.images) == (39, 78)
    assert any("1 of 40 cases have images of several classes" in note for note in scores.notes)


def test_all_images_of_a_case_answer_whatever_their_label(study: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(60, 3, seed=35)
    rng = np.random.default_rng(3)
    hidden = (rng.random(len(labels)) < 0.5) | (patients < 4)  # of four patients all labels
    kept = np.isin(patients, patients[~hidden])
    words = np.where(hidden, np.where(rng.random(len(labels)) < 0.5, "", "blurred"), labels.astype(str)).tolist()
    names = [f"q{p}" for p in patients]
    scores = read(study, write_images(tmp_path / "some", images, words, names), "blurred=").scores
    every = read(study, write_images(tmp_path / "all", images[kept], list(map(str, labels[kept])),
                                     [f"q{p}" for p in patients[kept]])).scores  # fmt: skip
    assert scores.figures == every.figures
    assert scores.figures.images == kept.sum() > (~hidden).sum()
    assert scores.recalibration == every.recalibration
    assert scores.shifts == every.shifts
    cases, lost = len({*patients[kept]}), 60 - len({*patients[kept]})
    assert scores.figures.cases == cases
    of = len({*patients[kept & hidden]})
    assert f"left out: {lost} cases ({3 * lost} images), none of whose images has a usable label" in scores.notes
    assert (
        f"left out of their case's label alone, not of its answer: {(kept & hidden).sum()} images of {of} cases "
        "without a usable label"
    ) in scores.notes
    parts: dict[str, Array] = {"class_names": np.array(["0", "1", "blurred"])}
    for split, rows in {"train": patients < 20, "val": patients // 20 == 1, "test": patients >= 40}.items():
        values = {"images": images, "labels": np.where(hidden, 2, labels), "groups": patients}
        parts |= {f"{split}_{name}": column[rows] for name, column in values.items()}
    arrays = tmp_path / "some.npz"
    np.savez(arrays, **parts)  # type: ignore[arg-type]
    of_arrays = read(study, str(arrays), "blurred=").scores
    assert of_arrays.figures == scores.figures
    assert of_arrays.notes[-3:-1] == scores.notes[-3:-1]


def test_labels_that_are_added_later_are_read_again(study: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(20, 2, seed=36)
    names, words = [f"q{p}" for p in patients], list(map(str, labels))
    first = read(study, write_images(tmp_path / "a", images, words, names), again=False)
    turned = [
        str(1 - label) if patient == 0 else str(label) for label, patient in zip(labels, patients, strict=True)
    ]
    second = read(study, write_images(tmp_path / "b", images, turned, names), again=False)
    third = read(study, write_images(tmp_path / "c", images, turned, names), again=False)
    assert (first.stored, second.stored, third.stored) == (False, False, True)
    assert first.scores.test == second.scores.test
    assert third.scores == second.scores


def test_cases_that_lost_an_image_are_counted(study: medray.Study, tmp_path: Path) -> None:
    images, labels, patients = case_arrays(20, 3, seed=37)
    words = list(map(str, labels))
    mates = np.flatnonzero(patients == patients[0]).tolist()
    words[mates[1]] = words[mates[2]] = ""
    source = write_images(tmp_path / "films", images, words, [f"q{p}" for p in patients])
    other = int(np.flatnonzero(patients != patients[0])[0])
    for broken in (mates[0], other):
        (tmp_path / "films" / f"{broken:03d}.png").write_bytes(b"no image")
    scores = read(study, source).scores
    assert (scores.figures.cases, scores.figures.images) == (19, 56)
    assert "1 case answered without 1 image that can't be read or used" in scores.notes
    assert "left out: 1 case (2 images), none of whose images has a usable label" in scores.notes


def test_without_the_column_nothing_is_measured_by_image(study: medray.Study, tmp_path: Path) -> None:
    images, labels, _ = case_arrays(20, 2, seed=34)
    with pytest.raises(MedrayError) as refused:
        read(study, write_images(tmp_path / "bare", images, list(map(str, labels))))
    line = str(refused.value)
    assert "the run answers by patient, and what it promises is of that, not of an image" in line
    assert "`?patient=COLUMN`" in line
