"""Subgroups: each measured by itself, with intervals that say how little a small one tells."""

from typing import Any

import numpy as np
import pytest

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.auc_interval import auc_interval
from medray.stats.bootstrap import Estimate
from medray.stats.rates import share_of
from medray.stats.scores import Predictions
from medray.stats.subgroups import TOO_FEW, SubgroupScores, subgroup_scores

IMAGES = 90
SEX = np.array(["F", "M", "M"] * 30)
SITE = np.repeat([10, 9, 2], [60, 20, 10])


def some_model(images: int = IMAGES, classes: int = 3) -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    scores = rng.random((images, classes)) + 0.5 * np.eye(classes)[labels]
    return Predictions(scores / scores.sum(axis=1, keepdims=True), labels, classes)


MODEL = some_model()


def test_each_value_is_a_row_measured_by_itself() -> None:
    result = subgroup_scores(MODEL, {"sex": SEX, "site": SITE})
    assert [row.value for row in result["sex"]] == ["F", "M"]
    assert [row.value for row in result["site"]] == ["2", "9", "10"]  # as numbers, not as text
    for name, column in (("sex", SEX), ("site", SITE)):
        assert sum(row.images for row in result[name]) == IMAGES
        assert sum(row.accuracy.count for row in result[name]) == MODEL.correct.sum()
        for row in result[name]:
            rows = column.astype(str) == row.value
            measure = Predictions(MODEL.probabilities[rows], MODEL.labels[rows], 3)
            assert row.images == row.accuracy.total == rows.sum()
            assert row.accuracy.value == pytest.approx(measure.scores()["accuracy"])
            assert row.auc == auc_interval(measure.probabilities, measure.labels)
            enough = np.bincount(measure.labels).min() >= 10
            assert (row.flag is None) == (row.accuracy.low is not None) == (row.auc.low is not None) == enough


def of_cases(cases: int, rest: int, patients_of_cases: int | None = None) -> list[SubgroupScores]:
    """A good model's rows of one subgroup with so many cases, and of the other images."""
    rng, other = np.random.default_rng(0), 60
    labels = np.concatenate([np.repeat([1, 0], [cases, rest]), np.arange(other) % 2])
    chance = np.clip(0.5 + 0.3 * (2 * labels - 1) + rng.normal(0, 0.1, len(labels)), 0, 1)
    model = Predictions(np.stack([1 - chance, chance], axis=1), labels, 2)
    groups = np.arange(len(labels))
    if patients_of_cases is not None:
        groups[:cases] %= patients_of_cases
    column = np.repeat(["few", "other"], [cases + rest, other])
    return subgroup_scores(model, {"x": column}, groups=None if patients_of_cases is None else groups)["x"]


def test_few_cases_are_flagged_however_many_images_there_are() -> None:
    few, other = of_cases(1, 24)
    assert (few.images, few.flag) == (25, "too few to tell") == (25, TOO_FEW)
    assert few.auc.reason == few.accuracy.reason == "1 image of a class: too few"
    assert (few.auc.value, few.auc.low, few.auc.high) == (1.0, None, None)
    assert (few.accuracy.low, few.accuracy.high) == (None, None)
    assert (other.flag, other.auc.reason, other.accuracy.reason) == (None, None, None)
    assert of_cases(9, 200)[0].flag == of_cases(200, 9)[0].flag == TOO_FEW
    assert of_cases(10, 200)[0].flag is None


def test_few_patients_are_flagged_however_many_images_they_have() -> None:
    few = of_cases(200, 50, patients_of_cases=2)[0]
    assert (few.flag, few.auc.low, few.accuracy.low) == (TOO_FEW, None, None)
    assert few.auc.reason == "2 patients of a class: too few"
    assert of_cases(200, 50, patients_of_cases=9)[0].flag == TOO_FEW
    assert of_cases(200, 50, patients_of_cases=10)[0].flag is None


def test_a_subgroup_without_a_class_has_no_auc() -> None:
    column = np.where(MODEL.labels == 0, "only class 0", "the rest")
    for row in subgroup_scores(MODEL, {"by class": column})["by class"]:
        assert row.auc == Estimate(None, None, None, "0 images of a class: too few")
        assert (row.flag, row.accuracy.low, row.accuracy.high) == (TOO_FEW, None, None)


def test_intervals_of_a_subgroup_are_by_patient() -> None:
    patients = np.arange(IMAGES) // 2 + 10
    row = subgroup_scores(MODEL, {"site": SITE}, groups=patients)["site"][2]
    model = Predictions(MODEL.probabilities[SITE == 10], MODEL.labels[SITE == 10], 3)
    assert row.auc == auc_interval(model.probabilities, model.labels, patients[:60])
    assert row.accuracy == share_of(model.correct, patients[:60])


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (SEX[1:], r"subgroup 'x' is \(89,\), not \(90,\)"),
        (np.linspace(0, 1, IMAGES), "subgroup 'x' holds float, not only text or only whole numbers"),
        (np.array(["F", None, 3] * 30, dtype=object), "subgroup 'x' holds NoneType, int, str"),
    ],
)
def test_what_is_no_column(column: Array, words: str) -> None:
    with pytest.raises(DataError, match=words):
        subgroup_scores(MODEL, {"x": column})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"groups": np.zeros(3)}, DataError, r"groups are \(3,\), not \(90,\)"),
        ({"confidence": 95}, ConfigError, "confidence is 95; it must lie between 0 and 1"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        subgroup_scores(MODEL, {"sex": SEX}, **options)
