"""Scores of each class against the rest: those of scikit-learn, with the intervals of shares and AUCs."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn_metrics

from medray.errors import DataError
from medray.stats.auc_interval import auc_interval
from medray.stats.class_scores import ClassScores, class_scores
from medray.stats.rates import share_of
from medray.stats.scores import Predictions
from tests.stats.test_metrics import Case, cases


def measured(case: Case) -> Predictions:
    probabilities, labels = case
    return Predictions(probabilities, labels, probabilities.shape[1])


@settings(deadline=None, max_examples=20)
@given(cases())
def test_each_class_is_that_of_scikit_learn(case: Case) -> None:
    probabilities, labels = case
    measure = measured(case)
    classes = measure.classes
    options: dict[str, Any] = {"labels": range(classes), "zero_division": 0}
    expected = sklearn_metrics.precision_recall_fscore_support(labels, measure.predicted, **options)
    rows = class_scores(measure, [f"class {c}" for c in range(classes)])
    assert [row.precision.value or 0.0 for row in rows] == pytest.approx(expected[0], abs=1e-9)
    assert [row.recall.value or 0.0 for row in rows] == pytest.approx(expected[1], abs=1e-9)
    assert [row.f1 for row in rows] == pytest.approx(expected[2], abs=1e-9)
    assert [row.images for row in rows] == expected[3].tolist()
    for c, row in enumerate(rows):
        assert ClassScores.from_dict(row.to_dict()) == row
        positive = labels == c
        if positive.all() or not positive.any():
            assert row.auc.value is None
        else:
            area = sklearn_metrics.roc_auc_score(positive, probabilities[:, c])
            assert row.auc.value == pytest.approx(area, abs=1e-9)
        if positive.all():
            assert row.specificity.value is None
        else:
            specificity = sklearn_metrics.recall_score(~positive, measure.predicted != c, zero_division=0)
            assert row.specificity.value == pytest.approx(specificity, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(cases())
def test_the_mean_auc_of_the_classes_is_the_auc(case: Case) -> None:
    measure = measured(case)
    result = [row.auc.value for row in class_scores(measure, ["x"] * measure.classes)]
    total = measure.scores()["auc"]
    if math.isnan(total):
        assert None in result
    elif measure.classes == 2:
        assert result[1] == pytest.approx(total, abs=1e-12)
    else:
        assert np.mean([value or 0.0 for value in result]) == pytest.approx(total, abs=1e-12)


def test_a_class_that_is_never_there_or_never_predicted() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0]])
    measure = measured((probabilities, np.array([0, 0, 0])))
    liver, spleen, heart = class_scores(measure, ["liver", "spleen", "heart"])
    assert (liver.precision.value, liver.recall.value) == (1.0, pytest.approx(2 / 3))
    assert (liver.specificity.value, liver.f1, liver.auc.value) == (None, pytest.approx(0.8), None)
    assert (spleen.images, spleen.recall.value, spleen.specificity.value) == (0, None, pytest.approx(2 / 3))
    assert (heart.precision.value, heart.f1, heart.specificity.value, heart.auc.value) == (None, 0.0, 1.0, None)


def test_intervals_are_by_patient_where_they_are_known() -> None:
    rng = np.random.default_rng(0)
    labels, groups = np.repeat([0, 1, 2], 40), np.arange(120) // 2
    scores = rng.random((120, 3)) + np.eye(3)[labels]
    measure = measured((scores / scores.sum(axis=1, keepdims=True), labels))
    for patients in (None, groups):
        for c, row in enumerate(class_scores(measure, ["a", "b", "c"], patients)):
            of_class = labels == c
            known = None if patients is None else patients[of_class]
            assert row.recall == share_of(measure.predicted[of_class] == c, known)
            chance = measure.probabilities[:, c]
            against_rest = np.stack([1 - chance, chance], axis=1)
            assert row.auc == auc_interval(against_rest, of_class.astype(np.int64), patients)
            assert row.auc.low is not None


def test_each_class_has_one_name() -> None:
    with pytest.raises(DataError, match="3 class names for 2 classes"):
        class_scores(Predictions(np.array([[0.2, 0.8]]), np.array([1]), 2), ["a", "b", "c"])
