"""Metrics against scikit-learn, against a loop, and against the definitions of seed report 001."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medray._types import Array
from medray.stats.metrics import (
    all_metrics,
    auc,
    calibration_error,
    confusion_matrix,
    log_loss,
    roc_auc,
)
from medray.stats.score_names import GRADED, PLAIN

METRICS = {**PLAIN, **GRADED}

Case = tuple[Array, Array]


@st.composite
def cases(draw: st.DrawFn, most_classes: int = 5, dtype: type = np.float32) -> Case:
    """Probabilities (N, classes) with many ties, and labels; a class may be missing from either."""
    classes = draw(st.integers(2, most_classes))
    count = draw(st.integers(1, 40))
    levels = draw(st.sampled_from([1, 3, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(0, levels + 1, size=(count, classes)).astype(np.float64)
    scores[scores.sum(axis=1) == 0] = 1
    probabilities = (scores / scores.sum(axis=1, keepdims=True)).astype(dtype)
    present = draw(st.lists(st.integers(0, classes - 1), min_size=1, unique=True))
    return probabilities, rng.choice(present, size=count).astype(np.int64)


def by_sklearn(probabilities: Array, labels: Array) -> dict[str, float]:
    """The same metrics, by scikit-learn."""
    classes = list(range(probabilities.shape[1]))
    predicted = probabilities.argmax(axis=1)
    # It would clip and take logarithms in the probabilities' own precision.
    exact = np.clip(probabilities.astype(np.float64), np.finfo(np.float32).eps, 1)
    result: dict[str, float] = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "log_loss": sklearn_metrics.log_loss(labels, exact, labels=classes),
    }
    for average in ("macro", "weighted"):
        options: dict[str, Any] = {"average": average, "zero_division": 0}
        result[f"f1_{average}"] = sklearn_metrics.f1_score(labels, predicted, **options)
        result[f"precision_{average}"] = sklearn_metrics.precision_score(labels, predicted, **options)
        result[f"recall_{average}"] = sklearn_metrics.recall_score(labels, predicted, **options)
    if len(set(labels.tolist())) == len(classes):
        # Class by class, as its "ovr" does, which refuses a row of half precision that does not sum to 1.
        of_each = [sklearn_metrics.roc_auc_score(labels == c, probabilities[:, c]) for c in classes]
        result["auc"] = of_each[1] if len(classes) == 2 else float(np.mean(of_each))
    return result


@settings(deadline=None, max_examples=80)
@given(cases())
def test_metrics_are_those_of_scikit_learn(case: Case) -> None:
    result = all_metrics(*case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are missing, and of what was clipped
        expected = by_sklearn(*case)
    assert {name: result[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert math.isnan(result["auc"]) == ("auc" not in expected)


def test_evaluate_gives_every_metric_in_order_as_a_float() -> None:
    result = all_metrics(np.array([[0.2, 0.8], [0.6, 0.4]], dtype=np.float32), np.array([1, 0]))
    assert list(result) == list(METRICS)
    assert all(type(value) is float for value in result.values())


def test_perfect_and_worst_predictions() -> None:
    labels = np.array([0, 1, 2, 0])
    perfect = all_metrics(np.eye(3, dtype=np.float32)[labels], labels)
    assert {name: value for name, value in perfect.items() if METRICS[name] == "max"} == {
        name: 1.0 for name, mode in METRICS.items() if mode == "max"
    }
    assert perfect["log_loss"] == pytest.approx(0.0, abs=1e-6)
    assert perfect["calibration_error"] == 0.0
    worst = all_metrics(np.eye(3, dtype=np.float32)[(labels + 1) % 3], labels)
    assert worst["accuracy"] == worst["f1_macro"] == worst["recall_weighted"] == 0.0
    assert worst["calibration_error"] == 1.0
    assert 15 < worst["log_loss"] < 17  # a float32's epsilon, and no infinity


@settings(deadline=None, max_examples=40)
@given(cases())
def test_confusion_matrix_counts_true_by_row(case: Case) -> None:
    probabilities, labels = case
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    expected = sklearn_metrics.confusion_matrix(labels, predicted, labels=range(classes))
    assert (confusion_matrix(labels, predicted, classes) == expected).all()


# -- AUC


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_roc_auc_is_the_chance_that_a_positive_scores_higher(pairs: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s for s, _ in pairs]) / 4, np.array([p for _, p in pairs])
    wins = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    result = roc_auc(scores, positive)
    if wins:
        assert result == pytest.approx(np.mean(wins), abs=1e-12)
    else:
        assert math.isnan(result)


@pytest.mark.parametrize("positive", [True, False])
def test_roc_auc_is_nan_where_one_side_is_absent(positive: bool) -> None:
    assert math.isnan(roc_auc(np.array([0.1, 0.2]), np.array([positive] * 2)))


@pytest.mark.parametrize("classes", [2, 3])
def test_auc_is_nan_where_a_class_is_absent(classes: int) -> None:
    probabilities = np.full((4, classes), 1 / classes)
    assert math.isnan(auc(probabilities, np.zeros(4, dtype=np.int64)))
    assert auc(probabilities, np.arange(4) % classes) == 0.5


# -- calibration


def calibration_by_loop(probabilities: Array, labels: Array, bins: int) -> float:
    """The share of each bin times the distance of its mean confidence from its accuracy, bin by bin."""
    inside: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(probabilities, labels, strict=True):
        confidence = float(max(row))
        place = next((b for b in range(bins) if confidence * bins < b + 1), bins - 1)
        inside.setdefault(place, []).append((confidence, int(np.argmax(row)) == label))
    total = 0.0
    for members in inside.values():
        mean_confidence = sum(confidence for confidence, _ in members) / len(members)
        accuracy = sum(right for _, right in members) / len(members)
        total += len(members) / len(labels) * abs(mean_confidence - accuracy)
    return total


@settings(deadline=None, max_examples=100)
@given(cases(dtype=np.float64), st.sampled_from([1, 5, 15]))
def test_calibration_error_is_that_of_a_loop(case: Case, bins: int) -> None:
    assert calibration_error(*case, bins=bins) == pytest.approx(calibration_by_loop(*case, bins=bins), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(cases())
def test_calibration_error_lies_between_0_and_1(case: Case) -> None:
    assert 0 <= calibration_error(*case) <= 1


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = np.array([0, 1, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx(0.5 * abs(0.9 - 0.5) + 0.5 * abs(0.6 - 1.0))


def test_log_loss_is_in_nats() -> None:
    assert log_loss(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([0, 1])) == pytest.approx(
        (math.log(4) + math.log(2)) / 2
    )


# -- seed report 001, section 1.3: a class weighs as much as its share of the data set


def report_metrics(predicted: list[int], labels: list[int], classes: int) -> dict[str, float]:
    """Accuracy and Weighted-Precision, -Recall and -F1, as the report writes them; 0 where it divides by 0."""
    sums = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    weights = 0
    for one in range(classes):
        pairs = list(zip(predicted, labels, strict=True))
        tp = sum(p == one and y == one for p, y in pairs)
        fp = sum(p == one and y != one for p, y in pairs)
        fn = sum(p != one and y == one for p, y in pairs)
        weight = sum(y == one for y in labels)
        weights += weight
        sums["precision"] += weight * (tp / (tp + fp) if tp + fp else 0.0)
        sums["recall"] += weight * (tp / (tp + fn) if tp + fn else 0.0)
        sums["f1"] += weight * (tp / (tp + 0.5 * (fp + fn)) if tp + fp + fn else 0.0)
    right = sum(p == y for p, y in zip(predicted, labels, strict=True))
    return {"accuracy": right / len(labels), **{f"{name}_weighted": s / weights for name, s in sums.items()}}


@settings(deadline=None, max_examples=100)
@given(cases())
def test_weighted_metrics_are_those_of_the_report(case: Case) -> None:
    probabilities, labels = case
    expected = report_metrics(probabilities.argmax(axis=1).tolist(), labels.tolist(), probabilities.shape[1])
    result = all_metrics(probabilities, labels)
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(cases(most_classes=2))
def test_accuracy_of_two_classes_is_the_reports(case: Case) -> None:
    probabilities, labels = case
    predicted = probabilities.argmax(axis=1)
    tp, tn = int(((predicted == 1) & (labels == 1)).sum()), int(((predicted == 0) & (labels == 0)).sum())
    fp, fn = int(((predicted == 1) & (labels == 0)).sum()), int(((predicted == 0) & (labels == 1)).sum())
    assert all_metrics(probabilities, labels)["accuracy"] == pytest.approx(
        (tp + tn) / (tp + tn + fp + fn), abs=1e-12
    )


def test_recall_weighted_is_accuracy() -> None:
    """As in the report's tables, where the two columns are the same."""
    rng = np.random.default_rng(0)
    result = all_metrics(rng.dirichlet(np.ones(11), size=300), rng.integers(0, 11, size=300))
    assert result["recall_weighted"] == pytest.approx(result["accuracy"], abs=1e-12)
