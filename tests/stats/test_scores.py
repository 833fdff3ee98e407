"""Scores of a model: against all_metrics(), scikit-learn and the tables of seed report 001, resampled or not."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medray._types import Array
from medray.errors import DataError
from medray.stats.metrics import all_metrics
from medray.stats.score_names import OF_CLASSES
from medray.stats.scores import Predictions
from tests.stats.test_metrics import Case, by_sklearn, cases, report_metrics

DTYPES = st.sampled_from([np.float16, np.float32, np.float64])
ANY_CASE = DTYPES.flatmap(lambda dtype: cases(dtype=dtype))


def measured(case: Case) -> Predictions:
    probabilities, labels = case
    return Predictions(probabilities, labels, probabilities.shape[1])


@st.composite
def resampled(draw: st.DrawFn) -> tuple[Case, Array]:
    """A case and how often each of its images is drawn: many not at all, never none."""
    case = draw(ANY_CASE)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = rng.integers(0, draw(st.integers(2, 5)), size=len(case[1]))
    if not counts.any():
        counts[rng.integers(len(counts))] = 1
    return case, counts


def repeated(case: Case, counts: Array) -> Case:
    probabilities, labels = case
    return np.repeat(probabilities, counts, axis=0), np.repeat(labels, counts)


# -- as they are


@settings(deadline=None, max_examples=50)
@given(ANY_CASE)
def test_scores_are_those_of_evaluate(case: Case) -> None:
    expected, measure = all_metrics(*case), measured(case)
    for weights in (None, np.ones(len(measure)), np.ones(len(measure), dtype=np.uint16)):
        result = measure.scores(weights)
        assert {name: result[name] for name in expected} == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)


def test_scores_are_every_metric_and_brier_as_floats() -> None:
    result = measured((np.array([[0.2, 0.8], [0.6, 0.4]], dtype=np.float32), np.array([1, 0]))).scores()
    assert list(result) == list(OF_CLASSES)
    assert all(type(value) is float for value in result.values())


def brier_by_sklearn(probabilities: Array, labels: Array) -> float:
    """The Brier score of several classes is the sum of those of each class against the rest."""
    exact = np.minimum(probabilities.astype(np.float64), 1)
    each = [
        sklearn_metrics.brier_score_loss((labels == c).astype(int), exact[:, c], pos_label=1)
        for c in range(exact.shape[1])
    ]
    return float(sum(each))


@settings(deadline=None, max_examples=25)
@given(cases())
def test_brier_is_that_of_scikit_learn(case: Case) -> None:
    result = measured(case).scores()["brier"]
    assert result == pytest.approx(brier_by_sklearn(*case), abs=1e-9)
    assert 0 <= result <= 2 + 1e-6


def test_brier_by_hand() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    result = measured((probabilities, np.array([0, 1]))).scores()["brier"]
    assert result == pytest.approx(((0.25 + 0.09 + 0.04) + (1 + 1)) / 2)


@settings(deadline=None, max_examples=25)
@given(ANY_CASE, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(case: Case, random: Any) -> None:
    places = list(range(len(case[1])))
    random.shuffle(places)
    shuffled = measured((case[0][places], case[1][places])).scores()
    assert shuffled == pytest.approx(measured(case).scores(), abs=1e-9, nan_ok=True)


# -- resampled


@settings(deadline=None, max_examples=70)
@given(resampled())
def test_weights_repeat_images(sample: tuple[Case, Array]) -> None:
    case, counts = sample
    result, again = measured(case).scores(counts), repeated(case, counts)
    expected = all_metrics(*again) | {"brier": measured(again).scores()["brier"]}
    assert result == pytest.approx(expected, rel=0, abs=1e-9, nan_ok=True)


@settings(deadline=None, max_examples=20)
@given(resampled())
def test_weighted_scores_are_those_of_scikit_learn_on_the_resample(sample: tuple[Case, Array]) -> None:
    case, counts = sample
    result = measured(case).scores(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are missing, and of what was clipped
        expected = by_sklearn(*repeated(case, counts))
    assert {name: result[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert math.isnan(result["auc"]) == ("auc" not in expected)


@settings(deadline=None, max_examples=25)
@given(resampled(), st.integers(2, 9))
def test_only_the_ratio_of_the_weights_matters(sample: tuple[Case, Array], times: int) -> None:
    case, counts = sample
    expected = measured(case).scores(counts)
    assert measured(case).scores(counts * times) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_only_auc_is_undefined_where_a_resample_lacks_a_class() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    measure = measured((probabilities, np.array([0, 1, 2])))
    assert measure.scores()["auc"] == 1.0
    result = measure.scores(np.array([2, 1, 0]))
    assert [name for name, value in result.items() if math.isnan(value)] == ["auc"]


# -- the confusion matrix


def test_confusion_has_true_classes_as_rows() -> None:
    measure = measured((np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1])))
    assert measure.confusion.tolist() == [[1, 0], [1, 1]]
    assert measure.correct.tolist() == [True, False, True]


# -- seed report 001: section 1.3, and what its own confusion matrices and tables say

#: Validation images by true and predicted class: figure 11 and table 5, figure 14 and table 6.
BIGGER = """165 0 1 1 0 1 2 0 0 9 9
0 1 102 0 0 0 0 0 0 1 0
0 0 95 0 0 0 0 0 0 0 0
0 0 0 239 0 1 0 0 0 4 2
0 0 0 2 128 6 0 0 0 3 1
1 0 0 0 41 112 0 0 0 3 2
0 0 0 1 0 0 458 0 0 18 14
0 0 0 0 4 0 0 242 14 0 1
0 0 0 0 1 0 9 24 239 2 0
3 0 0 2 1 5 8 0 1 252 8
0 0 0 0 2 0 6 0 0 1 204"""
AUGMENTED = """167 0 0 8 2 2 2 0 0 7 0
0 86 17 0 0 0 0 0 0 1 0
0 66 29 0 0 0 0 0 0 0 0
0 0 0 230 0 0 0 0 0 5 11
0 0 0 0 110 25 0 0 0 4 1
3 0 0 0 23 130 0 0 0 2 1
0 0 0 0 0 0 474 0 0 5 12
0 0 0 0 0 0 0 237 24 0 0
0 0 0 0 0 0 1 13 255 3 3
0 0 0 2 3 7 10 0 0 254 4
0 0 0 0 0 0 4 0 0 1 208"""


@pytest.mark.parametrize(
    ("figure", "accuracy", "f1", "precision", "recall"),
    [(BIGGER, 0.871, 0.858, 0.897, 0.871), (AUGMENTED, 0.889, 0.887, 0.892, 0.889)],
)
def test_weighted_scores_are_those_of_the_reports_tables(
    figure: str, accuracy: float, f1: float, precision: float, recall: float
) -> None:
    """Its formulas weigh a class by its true images: by the predicted ones, recall would be 0.916 in table 5."""
    matrix = np.array([line.split() for line in figure.splitlines()], dtype=np.int64)
    assert matrix.sum() == 2452
    labels, predicted = np.divmod(np.arange(matrix.size), len(matrix))
    measure = Predictions(np.eye(len(matrix))[predicted], labels, len(matrix))
    expected = {
        "accuracy": accuracy, "f1_weighted": f1, "precision_weighted": precision, "recall_weighted": recall,
    }  # fmt: skip
    result = measure.scores(matrix.ravel())
    assert {name: round(result[name], 3) for name in expected} == expected


@settings(deadline=None, max_examples=30)
@given(resampled())
def test_weighted_scores_are_the_reports_formulas_on_a_resample(sample: tuple[Case, Array]) -> None:
    case, counts = sample
    probabilities, labels = repeated(case, counts)
    expected = report_metrics(probabilities.argmax(axis=1).tolist(), labels.tolist(), probabilities.shape[1])
    result = measured(case).scores(counts)
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert result["recall_weighted"] == pytest.approx(result["accuracy"], abs=1e-12)  # as in all its tables


# -- what is refused

LABELS = np.array([0, 1, 1])
EVEN = np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("probabilities", "labels", "classes", "message"),
    [
        (EVEN[:, :1], LABELS * 0, 1, r"float64 \(3, 1\), not float \(N, classes\) of two classes or more"),
        (EVEN, LABELS.astype(np.int32), 2, "labels are int32, not int64"),
        (EVEN, LABELS[:, None], 2, r"labels are int64 \(3, 1\)"),
        (EVEN[:0], LABELS[:0], 2, "there is no image"),
        (EVEN, LABELS, 3, "probabilities are of 2 classes, not of 3"),
        (EVEN[:2], LABELS, 2, r"labels are int64 \(3,\), not whole numbers \(2,\)"),
        (np.eye(2, dtype=np.int64)[LABELS], LABELS, 2, "probabilities are int64"),
        (EVEN, np.array([0, 1, 2]), 2, "label 2 of image 2 is of no class: labels are 0 to 1"),
        (EVEN, np.array([0, 1, -1]), 2, "label -1 of image 2"),
        (np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]]), LABELS, 2, "probabilities of image 1"),
        (np.array([[0.5, 0.5], [0.5, 0.5], [np.inf, 0.5]]), LABELS, 2, "probabilities of image 2"),
        (np.array([[1.5, -0.5], [0.5, 0.5], [2.0, -1.0]]), LABELS, 2, "image 0 .* between -0.5 and 1.5"),
        (EVEN * 1.1, LABELS, 2, "image 0 .* sum to 1.1"),
    ],
)
def test_predictions_that_can_not_be_used_are_refused(
    probabilities: Array, labels: Array, classes: int, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Predictions(probabilities, labels, classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(2), r"weights are \(2,\), not \(3,\)"),
        (np.ones((3, 1)), r"weights are \(3, 1\)"),
        (np.zeros(3), "not all 0"),
        (np.array([1, -1, 1]), "0 or more"),
        (np.array([1, np.nan, 1]), "finite"),
        (np.array([1, np.inf, 1]), "finite"),
    ],
)
def test_what_is_no_resample(weights: Array, words: str) -> None:
    measure = Predictions(EVEN, LABELS, 2)
    with pytest.raises(DataError, match=words):
        measure.scores(weights)
