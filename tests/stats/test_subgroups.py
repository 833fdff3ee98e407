"""Subgroups: each measured by itself, with intervals that say how little a small one tells."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.bootstrap import Estimate, estimate, resample_counts
from medray.stats.scores import Predictions
from medray.stats.subgroups import TOO_FEW, clustered_proportion, subgroup_scores

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
    result = subgroup_scores(MODEL, {"sex": SEX, "site": SITE}, resamples=20, seed=4)
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
            draws = np.array([measure.auc(counts) for counts in resample_counts(int(rows.sum()), 20, 4)])
            assert row.auc == estimate(measure.auc(), draws)


def test_few_images_are_flagged() -> None:
    rows = subgroup_scores(MODEL, {"site": np.repeat([0, 1], [IMAGES - 20, 20])}, resamples=2)["site"]
    assert [row.flag for row in rows] == [None, None]
    rows = subgroup_scores(MODEL, {"site": np.repeat([0, 1], [IMAGES - 19, 19])}, resamples=2)["site"]
    assert [row.flag for row in rows] == [None, "too few to tell"] == [None, TOO_FEW]


def test_a_subgroup_without_a_class_has_no_auc() -> None:
    column = np.where(MODEL.labels == 0, "only class 0", "the rest")
    for row in subgroup_scores(MODEL, {"by class": column}, resamples=5)["by class"]:
        assert row.auc == Estimate(None, None, None, 0)
        assert 0 <= row.accuracy.low < row.accuracy.value < row.accuracy.high <= 1


def test_a_subgroup_of_one_image_or_one_patient_has_no_interval_of_the_auc() -> None:
    one = np.arange(IMAGES) == 0
    row = subgroup_scores(MODEL, {"one": one}, resamples=5)["one"][1]
    assert (row.value, row.images, row.auc.value, row.flag) == ("True", 1, None, TOO_FEW)
    patients = np.where(SITE == 10, 0, np.arange(IMAGES))
    row = subgroup_scores(MODEL, {"site": SITE}, groups=patients, resamples=5)["site"][2]
    assert row.auc == Estimate(MODEL_AT_10.auc(), None, None, 0)
    assert row.accuracy.high - row.accuracy.low > 0.5  # one patient tells next to nothing


MODEL_AT_10 = Predictions(MODEL.probabilities[SITE == 10], MODEL.labels[SITE == 10], 3)


def test_whole_patients_are_drawn_in_a_subgroup() -> None:
    patients = np.arange(IMAGES) // 6 + 10  # of one length, so that a subgroup's come in the same order
    row = subgroup_scores(MODEL, {"site": SITE}, groups=patients, resamples=20)["site"][2]
    draws = [MODEL_AT_10.auc(counts) for counts in resample_counts(60, 20, 0, patients[:60])]
    assert row.auc == estimate(MODEL_AT_10.auc(), np.array(draws))
    assert row.accuracy == clustered_proportion(MODEL_AT_10.correct, patients[:60])


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
        ({"resamples": 0}, ConfigError, "0 resamples"),
        ({"confidence": 95}, ConfigError, "confidence is 95; it must lie between 0 and 1"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        subgroup_scores(MODEL, {"sex": SEX}, **options)


# -- proportions


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_of_independent_images_is_exact(right: int, wrong: int, confidence: float) -> None:
    if not right + wrong:
        return
    result = clustered_proportion(np.repeat([True, False], [right, wrong]), confidence=confidence)
    expected = binomtest(right, right + wrong).proportion_ci(confidence, method="exact")
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (result.count, result.total, result.value) == (right, right + wrong, right / (right + wrong))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_patients_never_narrow_an_interval(images: list[tuple[int, bool]]) -> None:
    patients, right = np.array([p for p, _ in images]), np.array([r for _, r in images])
    result, alone = clustered_proportion(right, patients), clustered_proportion(right)
    assert result.value == alone.value
    assert 0 <= result.low <= alone.low + 1e-12
    assert alone.high - 1e-12 <= result.high <= 1


def test_images_that_only_repeat_their_patient_count_as_one() -> None:
    """The design effect is then the images of a patient, but for the few patients that it is told from."""
    right, patients = np.repeat([True, False], [40, 20]), np.arange(60) // 4
    by_patient = binomtest(10, 15).proportion_ci(method="exact")
    result = clustered_proportion(right, patients)
    assert (result.low, result.high) == pytest.approx((by_patient.low, by_patient.high), abs=0.02)
    all_right = clustered_proportion(np.ones(60, dtype=bool), patients)
    assert all_right.low == pytest.approx(binomtest(15, 15).proportion_ci(method="exact").low, abs=1e-9)
    assert all_right.high == 1.0


def test_the_interval_holds_the_share_of_clustered_images() -> None:
    rng, held = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(400):
        groups = np.repeat(np.arange(30), rng.integers(1, 9, size=30))
        right = (rng.random(30) < 0.8)[groups]
        for by_patient in held:
            result = clustered_proportion(right, groups if by_patient else None)
            held[by_patient] += result.low <= 0.8 <= result.high
    assert 0.88 <= held[True] / 400 <= 0.99
    assert held[False] / 400 < 0.8


@pytest.mark.parametrize(
    ("right", "confidence", "error", "words"),
    [
        (np.ones(3), 0.95, DataError, r"correct is float64 \(3,\), not bool"),
        (np.ones(0, dtype=bool), 0.95, DataError, r"correct is bool \(0,\)"),
        (np.ones(3, dtype=bool), math.nan, ConfigError, "confidence is nan"),
    ],
)
def test_what_is_no_proportion(right: Array, confidence: float, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        clustered_proportion(right, confidence=confidence)
