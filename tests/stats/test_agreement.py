"""Agreement and average precision, against scikit-learn on tables with ties and missing classes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, cohen_kappa_score, matthews_corrcoef

from medray.stats.agreement import (
    average_precision,
    kappa,
    matthews_correlation,
    mean_average_precision,
)
from medray.stats.metrics import confusion_matrix

Pairs = list[tuple[int, int]]
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@settings(deadline=None, max_examples=80)
@given(PAIRS)
def test_correlation_and_kappa_are_those_of_scikit_learn(pairs: Pairs) -> None:
    labels, predicted = np.array(pairs).T
    matrix = confusion_matrix(labels, predicted, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single class
        assert matthews_correlation(matrix) == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-9)
        for ours, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
            expected = cohen_kappa_score(labels, predicted, labels=range(4), weights=theirs)
            if len({*labels.tolist(), *predicted.tolist()}) > 1:
                assert kappa(matrix, ours) == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]


def test_a_single_class_has_no_kappa_and_no_correlation() -> None:
    matrix = np.array([[7, 0], [0, 0]])
    assert np.isnan(kappa(matrix))
    assert matthews_correlation(matrix) == 0


def test_quadratic_kappa_forgives_the_next_grade() -> None:
    near, far = np.diag([9, 9, 9]), np.diag([9, 9, 9])
    near[0, 1] = near[2, 1] = far[0, 2] = far[2, 0] = 3
    assert kappa(near, "quadratic") > kappa(near)
    assert kappa(far, "quadratic") < kappa(far)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_that_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s / 8 for s, _ in pairs]), np.array([p for _, p in pairs])
    if positive.any():
        assert average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores))
        assert average_precision(scores[::-1], positive[::-1]) == pytest.approx(
            average_precision(scores, positive)
        )
    else:
        assert np.isnan(average_precision(scores, positive))


def test_equal_scores_have_the_share_of_positives() -> None:
    assert average_precision(np.full(10, 0.5), np.arange(10) < 3) == pytest.approx(0.3)


def test_average_precision_of_several_classes_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(3), size=50), rng.integers(0, 3, size=50)
    expected = average_precision_score(np.eye(3)[labels], probabilities, average="macro")
    assert mean_average_precision(probabilities, labels) == pytest.approx(expected)
    two = probabilities[:, :2] / probabilities[:, :2].sum(axis=1, keepdims=True)
    positive = labels % 2
    assert mean_average_precision(two, positive) == pytest.approx(average_precision_score(positive, two[:, 1]))
