"""Differences between parts, by formulas that are known from elsewhere."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ttest_ind

from medray.audit.balance import Difference, compare_classes, compare_means


def test_classes_are_compared_by_pearsons_test_and_cramers_v() -> None:
    rng = np.random.default_rng(0)
    labels, part = rng.integers(0, 4, 500), rng.random(500) < 0.3
    difference = compare_classes(labels, part)
    table = np.stack([np.bincount(labels[side], minlength=4) for side in (part, ~part)])
    expected = chi2_contingency(table, correction=False)
    assert difference is not None
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert difference.effect == pytest.approx(np.sqrt(expected.statistic / 500))


def test_means_are_compared_by_welchs_test() -> None:
    rng = np.random.default_rng(1)
    values, part = rng.normal(size=900), rng.random(900) < 0.3
    values[part] += 0.4
    difference = compare_means(values, part)
    assert difference is not None
    assert difference.effect == pytest.approx(0.4, abs=0.15)
    assert difference.p_value == pytest.approx(
        ttest_ind(values[part], values[~part], equal_var=False).pvalue, rel=0.2
    )
    assert difference.stands_out(0.2, 10)


def test_images_of_few_patients_prove_little() -> None:
    rng = np.random.default_rng(0)
    patients = rng.normal(size=60)
    values, part = np.repeat(patients, 20), np.repeat(np.arange(60) < 10, 20)
    values[part] += 0.4
    alone, grouped = compare_means(values, part), compare_means(values, part, independent=1 / 20)
    assert alone is not None
    assert grouped is not None
    assert alone.p_value < 1e-3 < grouped.p_value
    assert alone.effect == grouped.effect


def test_what_can_not_be_compared_is_not() -> None:
    part = np.array([True, False, False, False])
    assert compare_means(np.arange(4.0), part) is None
    assert compare_means(np.ones(4), np.array([True, True, False, False])) is None
    assert compare_classes(np.zeros(4, np.int64), part) is None
    assert compare_classes(np.array([0, 1, 0, 1]), np.zeros(4, bool)) is None


def test_a_large_effect_by_chance_and_a_sure_but_small_one_do_not_stand_out() -> None:
    assert not Difference(0.5, 0.02).stands_out(0.2, 1)
    assert not Difference(-0.1, 1e-9).stands_out(0.2, 1)
    assert Difference(-0.3, 1e-9).stands_out(0.2, 100)
    assert not Difference(-0.3, 1e-3).stands_out(0.2, 100)


def test_random_splits_of_equal_images_are_hardly_ever_called_different() -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        values, part = rng.normal(size=200), rng.random(200) < 0.2
        difference = compare_means(values, part)
        alarms += difference is not None and difference.stands_out(0.2, 1)
    assert alarms <= 9  # 1 % of 300, and three standard deviations
