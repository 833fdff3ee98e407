"""Which images are of one case: what is refused, and that no split, fold or calibration split takes one apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.build import build_dataset
from medray.data.calibration_split import with_calibration
from medray.data.cases import with_cases
from medray.data.dataset import Fold, ImageDataset
from medray.data.folds import GROUPED, make_folds
from medray.data.listing.listing import ListedImage, Listing
from medray.data.similarity.groups import related_groups
from medray.errors import DataError
from medray.space.cases_section import Cases
from medray.space.preparation import Preparation
from medray.stats.case_rule import MAX, CaseRule
from medray.stats.cases import CaseIndex, number_cases
from medray.training.check import check_classes
from tests.data.test_build import picture

PATIENT = Cases("patient")


def make(labels: list[int], groups: list[Any] | None = None, **changes: Any) -> ImageDataset:
    """Images of one pixel in one split, of the classes a, b and c."""
    images = np.zeros((len(labels), 1, 1, 1), dtype=np.uint8)
    splits = {"train": np.arange(len(labels))}
    known = None if groups is None else np.array(groups)
    return ImageDataset(images, np.array(labels), ("a", "b", "c"), splits, "a-test", groups=known, **changes)


def refusal(dataset: ImageDataset, cases: Cases, task: str = "single") -> str:
    with pytest.raises(DataError) as caught:
        with_cases(dataset, cases, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- which images


def test_images_of_one_patient_or_of_one_exam_of_a_patient_are_a_case() -> None:
    dataset = make(
        [0, 0, 1, 1, 2], ["p", "p", "q", "q", "r"], subgroups={"exam": np.array(["1", "2", "1", "1", ""])}
    )
    assert with_cases(dataset, None, "single") is dataset
    by_patient = with_cases(dataset, PATIENT, "single")
    assert by_patient.cases is not None
    assert by_patient.cases.numbers.tolist() == [0, 0, 1, 1, 2]
    assert by_patient.at(np.arange(5)).answered_labels.tolist() == [0, 1, 2]
    by_exam = with_cases(dataset, Cases("exam"), "single")
    assert by_exam.cases is not None
    assert by_exam.cases.numbers.tolist() == [0, 1, 2, 2, 3]  # exam 1 of p is not that of q
    assert by_exam.answered_groups(np.arange(5)) is not None
    assert list(by_exam.answered_groups(np.arange(5))) == ["p", "p", "q", "r"]  # type: ignore[arg-type]
    assert "cases: 4 from 5 images, each the mean of all images of one exam" in by_exam.notes


def test_what_there_is_is_said_where_a_column_is_not() -> None:
    exams = {"exam": np.array(["1", "2"]), "sex": np.array(["f", "m"])}
    line = refusal(make([0, 1], ["p", "q"], subgroups=exams), Cases("exams"))
    assert "did you mean 'exam'" in line
    assert "valid: exam, patient, sex" in line
    assert "valid: exam, sex" in refusal(make([0, 1], subgroups=exams), PATIENT)
    assert "?patient=COLUMN" in refusal(make([0, 1]), PATIENT)


# -- the label of a case


def test_cases_with_differing_classes_are_refused_or_dropped() -> None:
    dataset = make([0, 1, 1, 1, 2, 0], [1, 1, 2, 2, 3, 4])
    line = refusal(dataset, PATIENT)
    assert "1 of 4 cases have images of several classes (first: patient 1: a, b)" in line
    assert "`cases: {differing: drop}`" in line
    assert "`cases: {normal: CLASS}`" in line
    folds = (Fold(np.array([0, 2, 4]), np.array([1, 3, 5])),)
    dropped = with_cases(replace(dataset, folds=folds), Cases("patient", differing="drop"), "single")
    assert dropped.splits["train"].tolist() == [2, 3, 4, 5]
    assert dropped.folds is not None
    assert [part.tolist() for part in dropped.folds[0]] == [[2, 4], [3, 5]]
    assert dropped.split("train").answered_labels.tolist() == [1, 2, 0]
    assert any("left out, as asked: 1 of 4 cases" in note for note in dropped.notes)


def test_a_normal_class_yields_to_any_other_one() -> None:
    dataset = make([0, 1, 1, 1, 2, 0], [1, 1, 2, 2, 3, 4])
    cases = with_cases(dataset, Cases("patient", MAX, "a"), "single")
    assert cases.split("train").answered_labels.tolist() == [1, 1, 2, 0]
    assert "several classes (first: patient 1: a, b)" in refusal(dataset, Cases("patient", normal="c"))
    assert "did you mean" in refusal(dataset, Cases("patient", normal="aa"))
    assert with_cases(dataset, PATIENT, "ordered").split("train").answered_labels.tolist() == [1, 1, 2, 0]


def test_validation_needs_a_case_of_each_class() -> None:
    dataset = make([0, 1, 0, 1, 2, 0, 1, 2], [1, 2, 3, 3, 4, 5, 6, 7])
    dataset = replace(dataset, splits={"val": np.arange(1, 5), "train": np.array([0, 5, 6, 7])})
    check_classes(dataset)
    by_case = with_cases(dataset, Cases("patient", normal="a"), "single")
    with pytest.raises(DataError, match="split 'val' has no case of a"):
        check_classes(by_case)


# -- together


@st.composite
def layouts(draw: st.DrawFn) -> ImageDataset:
    """Images without patients that make cases of any size, each of one class."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cases = draw(st.integers(20, 50))
    numbers = rng.permutation(np.repeat(np.arange(cases), rng.integers(1, 5, size=cases)))
    splits = {"train": np.arange(len(numbers))}
    return ImageDataset(
        np.zeros((len(numbers), 1, 1, 1), dtype=np.uint8), (numbers % 3).astype(np.int64), ("a", "b", "c"), splits,
        "a-test", subgroups={"lesion": np.array([f"l{number}" for number in numbers])},
    )  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(layouts(), st.integers(2, 4), st.integers(0, 99))
def test_no_case_is_on_both_sides_of_a_fold_and_each_fold_has_each_class(
    dataset: ImageDataset, count: int, seed: int
) -> None:
    folds = make_folds(with_cases(dataset, Cases("lesion"), "single"), count, seed)
    lesions = dataset.subgroups["lesion"]
    assert folds.kind == GROUPED
    for fold in folds.folds:
        assert not np.intersect1d(lesions[fold.train], lesions[fold.val]).size
        assert set(dataset.labels[fold.val]) == {0, 1, 2}


@pytest.mark.parametrize("share", [None, 0.3])
def test_a_case_is_on_one_side_of_the_calibration_split_which_counts_cases(share: float | None) -> None:
    numbers = np.repeat(np.arange(300), 2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 8, 8, 1), dtype=np.uint8)
    dataset = ImageDataset(
        images, numbers % 2, ("a", "b"), {"train": np.arange(600)}, "a-test", subgroups={"exam": numbers}
    )
    split = with_calibration(with_cases(dataset, Cases("exam"), "single"), share)
    aside = numbers[split.splits["calibration"]]
    assert not np.intersect1d(aside, numbers[split.splits["train"]]).size
    expected = 20.5 / 150 if share is None else share
    assert len(np.unique(aside)) == pytest.approx(300 * max(expected, 0.15), rel=0.1)


def test_own_folds_that_take_a_case_apart_are_refused() -> None:
    dataset = make([0, 1, 2, 0, 1, 2], subgroups={"exam": np.array(["1", "2", "3", "1", "5", "6"])})
    folds = (Fold(np.arange(3), np.arange(3, 6)), Fold(np.arange(3, 6), np.arange(3)))
    dataset = replace(dataset, folds=folds)
    make_folds(dataset, None, 0)
    with pytest.raises(DataError, match="its fold 0 has images of one case on both sides"):
        make_folds(with_cases(dataset, Cases("exam"), "single"), None, 0)


@pytest.mark.parametrize("patients", [True, False])
def test_splits_of_files_keep_a_case_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patients: bool
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    images = []
    for number in range(90):
        path = tmp_path / f"{number:03}.png"
        path.write_bytes(picture(number))
        exam, patient = str(number % 30), str(number % 15) if patients else None
        label = "sick" if number % 15 % 2 else "well"
        images.append(ListedImage(path, path.name, (label,), patient=patient, subgroups={"exam": exam}))
    listing = Listing("folder:here", tmp_path, tuple(images))
    preparation = Preparation.from_dict({"cases": {"by": "exam"}})
    dataset = with_cases(build_dataset(listing, preparation), preparation.cases, "single")
    owners = dataset.groups if patients else dataset.subgroups["exam"]
    assert owners is not None
    sides = [set(owners[positions]) for positions in dataset.splits.values()]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))
    word = "patient" if patients else "case"
    assert any(f"drawn by class and {word}" in note for note in dataset.notes)


def test_the_groups_of_leaks_are_those_of_cases_where_patients_are_unknown() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), dtype=np.uint8)
    dataset = ImageDataset(images, np.arange(6) % 2, ("a", "b"), {"train": np.arange(6)}, "a-test")
    assert len(np.unique(related_groups(dataset))) == 6
    index = CaseIndex(CaseRule("exam"), number_cases(np.array(["1", "2", "1", "", "", "2"])))
    assert related_groups(replace(dataset, cases=index)).tolist() == [0, 1, 0, 3, 4, 1]
