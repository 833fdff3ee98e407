"""Thresholds against a search through every possible one, and operating points through JSON."""

import json
import math
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.decisions.thresholds import (
    KINDS,
    NOTHING_POSITIVE,
    OperatingPoint,
    Rule,
    at_cost,
    at_sensitivity,
    at_youden,
    candidates,
    set_point,
)
from medray.errors import ConfigError, DataError, RunError
from medray.stats.events import Event
from medray.stats.rates import Rates, measure_rates

Scored = tuple[Array, Array]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Scores (N,) in 0..1, often equal, often 0 or 1, sometimes neighbouring floats; both kinds of image."""
    count = draw(st.integers(2, 30))
    near = [0.5, np.nextafter(0.5, 1), np.nextafter(np.nextafter(0.5, 1), 1), 5e-324, 1e-323]
    score = st.one_of(st.sampled_from([0.0, 0.2, 0.7, 1.0, *near]), st.floats(0, 1))
    scores = np.array(draw(st.lists(score, min_size=count, max_size=count)))
    positive = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    positive[draw(st.permutations(range(count)))[:2]] = [True, False]
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), positive


def decisions(scores: Array, positive: Array) -> list[tuple[int, int]]:
    """Misses and false alarms of every possible decision, from all called positive to none, by brute force."""
    outcomes = []
    for threshold in [*np.unique(scores).tolist(), 2.0]:
        called = scores.astype(np.float64) >= threshold
        outcomes.append((int((positive & ~called).sum()), int((~positive & called).sum())))
    return outcomes


def made(scores: Array, positive: Array, threshold: float) -> tuple[int, int]:
    """Misses and false alarms of one threshold."""
    called = scores.astype(np.float64) >= threshold
    return int((positive & ~called).sum()), int((~positive & called).sum())


@settings(deadline=None, max_examples=50)
@given(scored())
def test_thresholds_separate_neighbouring_scores(case: Scored) -> None:
    scores, positive = case
    listed = candidates(scores, positive)
    values = np.unique(scores).astype(np.float64)
    assert listed.thresholds[0] == 0.0
    assert listed.thresholds[-1] == NOTHING_POSITIVE > 1.0
    for (low, high), threshold in zip(pairwise(values), listed.thresholds[1:-1], strict=True):
        assert low < threshold <= high
        if np.nextafter(low, 1) < high:  # there is room between them
            assert threshold < high
            assert threshold - low == pytest.approx(high - threshold, rel=1e-6, abs=1e-15)
    seen = [made(scores, positive, threshold) for threshold in listed.thresholds.tolist()]
    assert seen == decisions(scores, positive)
    assert seen == list(zip(listed.positives - listed.hits, listed.false_alarms, strict=True))


@settings(deadline=None, max_examples=50)
@given(scored(), st.one_of(st.sampled_from([0.5, 0.75, 0.9, 0.95, 1.0]), st.floats(0.001, 1)))
def test_at_sensitivity_is_the_most_specific_that_reaches_the_target(case: Scored, target: float) -> None:
    scores, positive = case
    count = int(positive.sum())
    threshold = at_sensitivity(scores, positive, target)
    needed = min(count, math.ceil((count + 1) * target - 1e-9))
    reaching = [(misses, alarms) for misses, alarms in decisions(*case) if count - misses >= needed]
    assert made(scores, positive, threshold) == reaching[-1]
    assert made(scores, positive, threshold)[1] == min(alarms for _, alarms in reaching)
    higher = [t for t in candidates(scores, positive).thresholds.tolist() if t > threshold]
    assert all(count - made(scores, positive, t)[0] < needed for t in higher)


@settings(deadline=None, max_examples=50)
@given(scored())
def test_youden_maximises_sensitivity_plus_specificity(case: Scored) -> None:
    positives, negatives = int(case[1].sum()), int((~case[1]).sum())

    def loss(decision: tuple[int, int]) -> tuple[Fraction, int]:
        misses, alarms = decision
        return Fraction(misses, positives) + Fraction(alarms, negatives), misses

    assert made(*case, at_youden(*case)) == min(decisions(*case), key=loss)


@settings(deadline=None, max_examples=50)
@given(scored(), st.sampled_from(["0.1", "0.3", "0.5", "1", "1.1", "5", "1000"]))
def test_cost_is_the_lowest_there_is(case: Scored, ratio: str) -> None:
    def loss(decision: tuple[int, int]) -> tuple[Fraction, int]:
        misses, alarms = decision
        return Fraction(ratio) * misses + alarms, misses

    assert made(*case, at_cost(*case, float(ratio))) == min(decisions(*case), key=loss)


def test_equal_costs_go_to_the_more_sensitive() -> None:
    """A hundred misses at 0.29 cost what 29 false alarms do, but a little less in floats."""
    assert 0.29 * 100 < 29
    scores = np.repeat([0.2, 0.9], [129, 10])
    positive = np.array([True] * 100 + [False] * 29 + [True] * 10)
    assert made(scores, positive, at_cost(scores, positive, 0.29)) == (0, 29)


def test_thresholds_by_hand() -> None:
    scores = np.array([0.1, 0.2, 0.4, 0.6, 0.7, 0.9])
    positive = np.array([False, False, True, False, True, True])
    assert at_sensitivity(scores, positive, 1.0) == pytest.approx(0.3)
    assert at_sensitivity(scores, positive, 0.5) == pytest.approx(0.65)  # 2 of 3: the next one ranks among 4
    assert at_sensitivity(scores, positive, 2 / 3) == pytest.approx(0.3)
    assert at_youden(scores, positive) == pytest.approx(0.3)  # as good as 0.65, and more sensitive
    assert at_cost(scores, positive, 5) == pytest.approx(0.3)
    assert at_cost(scores, positive, 0.5) == pytest.approx(0.65)
    # Where every score misleads, all are called positive or none is.
    assert at_cost(scores, ~positive, 100) == 0.0
    assert at_cost(scores, ~positive, 0.01) == NOTHING_POSITIVE


def test_so_many_ranks_of_all_are_reached_by_as_many_hits() -> None:
    for count in range(1, 200, 6):
        scores, positive = np.linspace(0, 1, count + 1), np.arange(count + 1) > 0
        for hits in range(1, count + 1, 7):
            threshold = at_sensitivity(scores, positive, hits / (count + 1))
            assert made(scores, positive, threshold)[0] == count - hits


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
@pytest.mark.parametrize(("patients", "each"), [(25, 1), (45, 1), (200, 1), (25, 5), (45, 5)])
def test_new_images_are_hit_at_the_rate_that_is_promised(target: float, patients: int, each: int) -> None:
    """In the mean over many draws; a threshold of hits/n >= target misses it by 0.01 and more with 25 patients."""
    rng = np.random.default_rng([patients, each])
    true = []
    for _ in range(2000):
        middle = rng.normal(size=patients)
        logits = np.repeat(middle, each) + 0.7 * rng.normal(size=patients * each)
        scores = np.concatenate([1 / (1 + np.exp(-logits)), rng.random(50) / 2])
        positive = np.arange(len(scores)) < patients * each
        groups = (
            None if each == 1 else np.concatenate([np.repeat(np.arange(patients), each), 1000 + np.arange(50)])
        )
        threshold = at_sensitivity(scores, positive, target, groups)
        logit = math.log(max(threshold, 1e-9) / (1 - threshold))
        true.append(1 - NormalDist(0, 1.49**0.5).cdf(logit))
    error = 3 * float(np.std(true)) / len(true) ** 0.5
    highest = target + (0.02 if patients >= 40 else 0.04)
    assert target - error <= np.mean(true) <= highest + error


def test_a_sensitivity_is_promised_by_enough_images_that_no_network_has_seen() -> None:
    def point(cases: int, set_on: str, target: float, groups: Array | None = None) -> OperatingPoint:
        scores = np.linspace(0.01, 0.99, cases + 10)
        labels = np.r_[np.zeros(10, np.int64), np.ones(cases, np.int64)]
        names = ("no", "yes")
        table = np.stack([1 - scores, scores], axis=1)
        return set_point(Rule("sensitivity", target), table, labels, names, "yes", set_on, groups)

    assert point(19, "calibration", 0.95).promised == 0.95
    assert point(18, "calibration", 0.95).promised is None
    assert point(18, "calibration", 0.95).rates.sensitivity.value == 1.0
    assert point(400, "val", 0.95).promised is None
    assert point(400, "calibration", 1.0).promised is None
    of_few = np.arange(410) // 41
    assert point(400, "calibration", 0.95, of_few).promised is None
    assert point(400, "calibration", 0.95, of_few).independent_cases < 11


@settings(deadline=None, max_examples=25)
@given(scored(), st.sampled_from([Rule("youden"), Rule("sensitivity", 0.8), Rule("cost", 3)]))
def test_a_threshold_does_not_depend_on_the_order_of_images(case: Scored, rule: Rule) -> None:
    order = np.random.default_rng(0).permutation(len(case[0]))
    assert rule.threshold(*case) == rule.threshold(case[0][order], case[1][order])


@pytest.mark.parametrize("kind", [True, False])
def test_a_threshold_needs_both_kinds_of_image(kind: bool) -> None:
    with pytest.raises(DataError, match="images that are positive and images that are not"):
        at_youden(np.array([0.1, 0.2]), np.array([kind, kind]))


# -- rules


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (Rule("sensitivity", 0.95), "sensitivity 0.95"),
        (Rule("sensitivity", 1.0), "sensitivity 1"),
        (Rule("youden"), "youden"),
        (Rule("cost", 5), "cost 5"),
        (Rule("cost", 0.25), "cost 0.25"),
    ],
)
def test_rules_are_named_by_kind_and_number(rule: Rule, name: str) -> None:
    assert rule.name == name


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("sensitivty", 0.9, r"unknown rule 'sensitivty' \(did you mean 'sensitivity'\?\); valid: cost, sens"),
        ("", None, "unknown rule ''"),
        ("sensitivity", None, "'sensitivity' needs a number above 0 and at most 1, not None"),
        ("sensitivity", 95.0, "at most 1, not 95.0"),
        ("sensitivity", 0.0, "not 0.0"),
        ("sensitivity", math.nan, "not nan"),
        ("cost", -1.0, "'cost' needs a number above 0, not -1.0"),
        ("cost", math.inf, "not inf"),
        ("youden", 1.0, "'youden' takes no number, not 1.0"),
    ],
)
def test_what_is_no_rule(kind: str, value: float | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rule(kind, value)


def test_numbers_out_of_range_are_refused_by_the_functions_too() -> None:
    scores, positive = np.array([0.1, 0.9]), np.array([False, True])
    with pytest.raises(ConfigError, match=r"at most 1, not 1\.5"):
        at_sensitivity(scores, positive, 1.5)
    with pytest.raises(ConfigError, match="above 0, not 0"):
        at_cost(scores, positive, 0)


# -- operating points

NAMES = ("normal", "pneumonia", "effusion")


def simulated(classes: int = 3, dtype: type = np.float32) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    labels = np.arange(90) % classes
    powers = np.exp(rng.normal(size=(90, classes)) + 1.5 * np.eye(classes)[labels])
    return (powers / powers.sum(axis=1, keepdims=True)).astype(dtype), labels


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_decides_as_its_rates_say_and_survives_json(kind: str) -> None:
    probabilities, labels = simulated()
    rule = Rule(kind, {"sensitivity": 0.9, "cost": 5.0}.get(kind))
    point = set_point(rule, probabilities, labels, NAMES, "effusion", "calibration")
    assert (point.name, point.positive, point.event.class_index) == (rule.name, "effusion", 2)
    assert (point.images, point.set_on) == (90, "calibration")
    rates = measure_rates(probabilities[:, 2], labels == 2, point.threshold)
    without = rates.without_intervals("these images set the threshold")
    assert point.rates == (rates if kind == "sensitivity" else without)
    assert set_point(rule, probabilities, labels, NAMES, "effusion", "out-of-fold").rates == without
    called = point.decide(probabilities)
    assert called.dtype == np.bool_
    assert (point.rates.tp, point.rates.fp) == ((called & (labels == 2)).sum(), (called & (labels != 2)).sum())
    assert OperatingPoint.from_dict(json.loads(json.dumps(point.to_dict(), allow_nan=False))) == point
    # Rounding in another batch flips nothing.
    for shift in (-1e-7, 1e-7):
        moved = probabilities.astype(np.float64) + shift * np.array([[1, 1, -2]])
        assert (point.decide(moved.clip(0, 1)) == called).all()


def test_a_decision_is_made_in_double_precision() -> None:
    """In float32 a threshold between two neighbouring floats would be one of them."""
    low = np.float32(0.25)
    scores = np.array([low, np.nextafter(low, np.float32(1))])
    probabilities = np.column_stack([1 - scores, scores]).astype(np.float32)
    point = set_point(Rule("youden"), probabilities, np.array([0, 1]), ("no", "yes"), "yes", "val")
    assert point.decide(probabilities).tolist() == [False, True]
    assert point.decide(np.empty((0, 2), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("names", [("Abnormal", "Normal"), ("no", "yes")])
def test_neither_of_two_classes_is_taken_for_the_finding(names: tuple[str, str]) -> None:
    probabilities, labels = simulated(2)
    with pytest.raises(ConfigError, match=f"say by --positive which class .* valid: {names[0]}, {names[1]}"):
        set_point(Rule("youden"), probabilities, labels, names, None, "val")
    for index, name in enumerate(names):
        assert set_point(Rule("youden"), probabilities, labels, names, name, "val").event.class_index == index


def test_the_positive_class_must_be_there() -> None:
    probabilities, labels = simulated()
    rule = Rule("youden")
    with pytest.raises(ConfigError, match="operating point calls; valid: normal, pneumonia, effusion"):
        set_point(rule, probabilities, labels, NAMES, None, "val")
    with pytest.raises(ConfigError, match=r"unknown class 'efusion' \(did you mean 'effusion'\?\)"):
        set_point(rule, probabilities, labels, NAMES, "efusion", "val")
    with pytest.raises(DataError, match="no image of val is of class 'effusion'"):
        set_point(rule, probabilities, labels % 2, NAMES, "effusion", "val")
    with pytest.raises(DataError, match="no image of val is of another class than 'effusion'"):
        set_point(rule, probabilities, np.full(90, 2), NAMES, "effusion", "val")
    with pytest.raises(DataError, match="of 3 classes, but 2 are named"):
        set_point(rule, probabilities, labels, NAMES[:2], None, "val")


def test_a_point_refuses_probabilities_of_other_classes() -> None:
    point = set_point(Rule("youden"), *simulated(), NAMES, "effusion", "val")
    with pytest.raises(DataError, match="probabilities are of 2 classes; 'effusion' is at 2"):
        point.decide(np.array([[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": None}, "threshold: damaged: None is not a number"),
        ({"threshold": float("nan")}, "threshold: damaged: nan is not a number"),
        ({"threshold": 1.5}, "damaged: the threshold is out of range"),
        ({"event": {"name": "yes", "class_index": -1, "and_above": False}}, "damaged: class_index is below 0"),
        ({"images": 3}, "3 images, but rates of 20"),
        ({"rule": {"kind": "cost", "value": -1.0}}, "rule: damaged: rule 'cost' needs a number above 0"),
        ({"rates": {}}, "rates: damaged: it has no 'sensitivity'"),
        ({"treshold": 0.5}, r"unknown field 'treshold' \(did you mean 'threshold'\?\)"),
    ],
)
def test_damaged_points(changes: dict[str, Any], message: str) -> None:
    point = OperatingPoint(Rule("youden"), Event("yes", 1), 0.5, Rates.of(8, 1, 9, 2), 20, "val", 10.0)
    with pytest.raises(RunError, match=message) as caught:
        OperatingPoint.from_dict(point.to_dict() | changes)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=r"damaged: \[\] is not a mapping"):
        OperatingPoint.from_dict([])
