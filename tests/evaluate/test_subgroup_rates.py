"""Rates of subgroups at the operating points: of their own images alone, their gaps corrected as one family."""

import json

import numpy as np
import pytest

from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.errors import DataError
from medray.evaluate.subgroup_rates import SENSITIVITY, SPECIFICITY, SubgroupRates, subgroup_rates
from medray.stats.compare import holm
from medray.stats.rates import measure_rates, share_of
from medray.stats.scores import Predictions
from medray.stats.share_gap import share_gap

IMAGES, NAMES = 400, ("benign", "malignant", "normal")
SEX = np.array(["f", "m"] * 200)
SITE = np.repeat([10, 9, 2, 3], [190, 120, 80, 10])  # three patients are at two sites


def some_model() -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, IMAGES)
    labels[SITE == 3] = [0, 0, 0, 1, 2, 2, 2, 2, 2, 2]
    scores = rng.random((IMAGES, 3)) + 0.4 * np.eye(3)[labels]
    worse = (SITE == 2) & (labels == 1)
    scores[worse] = scores[worse][:, [2, 0, 1]]
    return Predictions(scores / scores.sum(axis=1, keepdims=True), labels, 3)


MODEL = some_model()


def points(*rules: Rule) -> list[OperatingPoint]:
    return [set_point(rule, MODEL.probabilities, MODEL.labels, NAMES, "malignant", "val") for rule in rules]


POINTS = points(Rule("sensitivity", 0.9), Rule("youden"))


def test_each_group_is_measured_by_itself_and_against_all_others() -> None:
    tables = subgroup_rates(POINTS, MODEL, {"sex": SEX, "site": SITE})
    assert [(table.column, table.point) for table in tables] == [
        ("sex", "sensitivity 0.9"), ("sex", "youden"), ("site", "sensitivity 0.9"), ("site", "youden"),
    ]  # fmt: skip
    assert [[group.value for group in table.groups] for table in tables[1:3]] == [
        ["f", "m"],
        ["2", "3", "9", "10"],
    ]
    scores, malignant = MODEL.probabilities[:, 1].astype(np.float64), MODEL.labels == 1
    for table, point in zip(tables, POINTS * 2, strict=True):
        column, called = {"sex": SEX, "site": SITE}[table.column], scores >= point.threshold
        assert (table.positive, table.shared_patients) == ("malignant", 0)
        for group in table.groups:
            rows = column.astype(str) == group.value
            expected = measure_rates(scores[rows], malignant[rows], point.threshold)
            for name, of_class in ((SENSITIVITY, malignant), (SPECIFICITY, ~malignant)):
                rate, exact = group.rates[name], getattr(expected, name)
                assert (rate.rate.count, rate.rate.total) == (exact.count, exact.total)
                gap = share_gap((called == malignant)[of_class], rows[of_class])
                assert (rate.gap.value, rate.gap.low, rate.gap.high) == (gap.value, gap.low, gap.high)
                assert rate.gap.p == pytest.approx(gap.p, abs=1e-9)
                if exact.total >= 10:
                    assert rate.rate == exact


def test_few_cases_have_neither_interval_and_it_says_why() -> None:
    (table,) = subgroup_rates(POINTS[:1], MODEL, {"site": SITE})
    few = table.groups[1]
    assert few.value == "3"
    assert (few.sensitivity.rate.total, few.specificity.rate.total) == (1, 9)
    assert few.sensitivity.rate.reason == few.sensitivity.gap.reason == "1 image: too few"
    assert few.specificity.rate.reason == few.specificity.gap.reason == "9 images: too few"
    for rate in few.rates.values():
        assert (rate.rate.low, rate.rate.high, rate.gap.low, rate.gap.p, rate.gap.adjusted_p) == (None,) * 5
        assert not rate.gap.shown
    assert [name for group, name, _ in table.tested if group.value == "3"] == []


def test_all_gaps_are_one_family_in_which_that_of_two_groups_counts_once() -> None:
    tables = subgroup_rates(POINTS, MODEL, {"sex": SEX, "site": SITE})
    tested = [gap for table in tables for _, _, gap in table.tested]
    assert len(tested) == 2 * (2 + 2 * 3)  # at each point, of sex once and of three sites that are not too few
    assert [gap.adjusted_p for gap in tested] == holm([gap.p for gap in tested])
    for table in tables[:2]:
        f, m = table.groups
        for name, rate in f.rates.items():
            assert rate.gap.adjusted_p == m.rates[name].gap.adjusted_p is not None
            assert rate.gap.value == pytest.approx(-(m.rates[name].gap.value or 0.0))


def test_a_site_that_misses_cases_is_shown_and_no_other() -> None:
    (table,) = subgroup_rates(POINTS[:1], MODEL, {"site": SITE})
    shown = {(group.value, name) for group, name, gap in table.tested if gap.shown}
    assert ("2", SENSITIVITY) in shown
    assert table.groups[0].sensitivity.gap.high is not None
    assert table.groups[0].sensitivity.gap.high < -0.1
    assert not {name for _, name in shown} & {SPECIFICITY}


def test_intervals_are_by_patient_and_patients_of_several_groups_are_counted() -> None:
    patients = np.arange(IMAGES) // 4
    sex, site = subgroup_rates(POINTS[:1], MODEL, {"sex": SEX, "site": SITE}, patients)
    assert sex.shared_patients == 100
    assert site.shared_patients == 3
    malignant = MODEL.labels == 1
    called = MODEL.probabilities[:, 1].astype(np.float64) >= POINTS[0].threshold
    rows = SITE[malignant] == 10
    rate = site.groups[3].sensitivity
    assert rate.rate == share_of(called[malignant][rows], patients[malignant][rows])
    assert rate.gap.low == share_gap(called[malignant], rows, patients[malignant]).low
    with pytest.raises(DataError, match="400 of 400 images have no patient"):
        subgroup_rates(POINTS, MODEL, {"sex": SEX}, np.full(IMAGES, ""))


def test_without_a_point_or_a_column_there_is_nothing() -> None:
    assert subgroup_rates([], MODEL, {"sex": SEX}) == ()
    assert subgroup_rates(POINTS, MODEL, {}) == ()


def test_they_are_json_whichever_class_a_group_lacks() -> None:
    by_class = np.where(MODEL.labels == 1, "cases", "others")
    columns = {"by class": by_class, "all": np.zeros(IMAGES, dtype=int), "site": SITE}
    for table in subgroup_rates(POINTS, MODEL, columns):
        content = json.loads(json.dumps(table.to_dict(), allow_nan=False))
        assert SubgroupRates.from_dict(content) == table
    lacking, same, _ = subgroup_rates(POINTS[:1], MODEL, columns)
    assert [rate.gap.reason for group in lacking.groups for rate in group.rates.values()] == [
        "no other image", "no image", "no image", "no other image",
    ]  # fmt: skip
    assert lacking.groups[0].specificity.rate.value is None
    assert same.groups[0].sensitivity.gap.reason == "no other image"
    assert same.groups[0].sensitivity.rate.low is not None
