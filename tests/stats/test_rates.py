"""Proportions with their exact intervals, and rates, against scipy, scikit-learn and simulation."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest
from sklearn.metrics import confusion_matrix

from medray.errors import ConfigError, DataError, RunError
from medray.stats.rates import Proportion, Rates, measure_rates


def known(number: float | None) -> float:
    assert number is not None
    return number


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_that_of_clopper_and_pearson(pair: tuple[int, int]) -> None:
    count, total = pair
    for confidence in (0.8, 0.95):
        result = Proportion.of(count, total, confidence)
        tail = (1 - confidence) / 2
        low = beta.ppf(tail, count, total - count + 1) if count else 0.0
        high = beta.ppf(1 - tail, count + 1, total - count) if count < total else 1.0
        assert (result.low, result.high) == pytest.approx((low, high), abs=1e-9)
        assert result.value == count / total
        assert known(result.low) <= known(result.value) <= known(result.high)


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 20), (99, 100), (500, 4000)])
def test_interval_is_that_of_an_exact_binomial_test(count: int, total: int) -> None:
    result, expected = Proportion.of(count, total), binomtest(count, total).proportion_ci(0.95, method="exact")
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("total", [5, 40])
def test_interval_covers_the_truth_at_least_as_often_as_it_says(total: int) -> None:
    """Summed exactly over all counts, for many true rates."""
    intervals = [Proportion.of(count, total, 0.9) for count in range(total + 1)]
    low, high = (np.array([known(getattr(i, end)) for i in intervals]) for end in ("low", "high"))
    for truth in np.linspace(0.01, 0.99, 50):
        inside = (low <= truth) & (truth <= high)
        assert binom.pmf(np.arange(total + 1), total, truth)[inside].sum() >= 0.9 - 1e-9


def test_a_share_of_none_has_no_value() -> None:
    assert Proportion.of(0, 0) == Proportion(None, None, None, 0, 0)


@pytest.mark.parametrize(("count", "total"), [(-1, 3), (4, 3), (0, -1)])
def test_what_is_no_proportion(count: int, total: int) -> None:
    with pytest.raises(DataError, match=f"{count} of {total} is no proportion"):
        Proportion.of(count, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_what_is_no_confidence(confidence: float) -> None:
    with pytest.raises(ConfigError, match="must lie between 0 and 1"):
        Proportion.of(1, 2, confidence)


# -- rates


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.3, 0.35, 1.0, 1.1]),
)
def test_counts_are_those_of_scikit_learn(pairs: list[tuple[int, bool]], threshold: float) -> None:
    scores, positive = np.array([s / 10 for s, _ in pairs]), np.array([p for _, p in pairs])
    result = measure_rates(scores, positive, threshold)
    called = [score >= threshold for score in scores.tolist()]
    tn, fp, fn, tp = confusion_matrix(positive, called, labels=[False, True]).ravel()
    assert (result.tp, result.fp, result.tn, result.fn) == (tp, fp, tn, fn)
    assert result.images == len(pairs)
    assert result.sensitivity == Proportion.of(tp, tp + fn)
    assert result.specificity == Proportion.of(tn, tn + fp)
    assert result.ppv == Proportion.of(tp, tp + fp)
    assert result.npv == Proportion.of(tn, tn + fn)
    assert Rates.from_dict(json.loads(json.dumps(asdict(result), allow_nan=False))) == result


def test_a_score_on_the_threshold_is_called_positive() -> None:
    assert measure_rates(np.array([0.5]), np.array([True]), 0.5).tp == 1


@pytest.mark.parametrize(
    ("scores", "positive", "message"),
    [
        ([], [], r"scores are float64 \(0,\)"),
        ([[0.5]], [[True]], r"scores are float64 \(1, 1\)"),
        ([0.5, 0.2], [True], r"positive is bool \(1,\), not bool \(2,\)"),
        ([0.5, 0.2], [1, 0], r"positive is int64 \(2,\)"),
        ([0.5, float("nan")], [True, False], "score of image 1 is nan"),
        ([1.5, 0.2], [True, False], "score of image 0 is 1.5"),
    ],
)
def test_what_can_not_be_measured(scores: list[Any], positive: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        measure_rates(np.array(scores, dtype=np.float64), np.array(positive), 0.5)


def test_a_threshold_that_is_no_number() -> None:
    with pytest.raises(DataError, match="threshold is nan"):
        measure_rates(np.array([0.5]), np.array([True]), float("nan"))


def damaged(**changes: Any) -> dict[str, Any]:
    return asdict(Rates.of(8, 1, 9, 2)) | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(tp=7), "damaged: sensitivity is not that of"),
        (damaged(tp="8"), "tp: damaged: '8' is not a whole number"),
        (damaged(ppv=None), "ppv: damaged: None is not a mapping"),
        (damaged(npv={}), "npv: damaged: it has no 'value'"),
        (damaged(ppv=asdict(Proportion(0.5, 0.1, 0.9, 8, 9))), "8 of 9 has another share or interval"),
        (damaged(ppv=asdict(Proportion(8 / 9, 0.9, 0.95, 8, 9))), "8 of 9 has another share or interval"),
        (damaged(ppv=asdict(Proportion(None, 0.1, 0.9, 8, 9))), "8 of 9 has another share or interval"),
        (damaged(ppv=asdict(Proportion(0.5, 0.1, 0.9, 0, 0))), "0 of 0 has another share or interval"),
    ],
)
def test_damaged_rates(content: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        Rates.from_dict(content)
