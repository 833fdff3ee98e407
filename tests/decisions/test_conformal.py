"""Prediction sets: coverage by simulation, what must hold for every input, and JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.decisions.conformal import (
    FREE_RANKS,
    METHODS,
    PENALTY,
    ConformalSets,
    calibrate,
    nonconformity,
    summarize_sets,
)
from medray.errors import ConfigError, DataError, RunError
from medray.stats.rates import Proportion

Case = tuple[Array, Array]


def simulated(rng: np.random.Generator, count: int, classes: int, sharpness: float = 3.0) -> Case:
    """Probabilities of a network that is far too sure, float32 (N, classes), and labels of their true softmax."""
    logits = rng.normal(size=(count, classes)) * 1.5
    truth = np.exp(logits)
    truth /= truth.sum(axis=1, keepdims=True)
    labels = (rng.random((count, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    sure = np.exp(sharpness * (logits - logits.max(axis=1, keepdims=True)))
    return (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32), labels


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """As simulated, from flat through to exact 0 and 1, with equal probabilities where rounded."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, count = draw(st.integers(2, 7)), draw(st.integers(1, 40))
    probabilities, labels = simulated(rng, count, classes, draw(st.sampled_from([0.0, 0.3, 3.0, 300.0])))
    if draw(st.booleans()):
        tenths = np.floor(probabilities * 8)
        tenths[tenths.sum(axis=1) == 0] = 1
        probabilities = (tenths / tenths.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities, labels


COVERAGES = st.one_of(st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.floats(0.01, 0.99))
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
OF_ANY_ORDER = pytest.mark.parametrize("method", [method for method in METHODS if method != "interval"])


@EVERY_METHOD
@pytest.mark.parametrize("classes", [2, 5, 11])
def test_coverage_holds_on_average_over_many_calibrations(method: str, classes: int) -> None:
    rng = np.random.default_rng(11)
    for images, coverage in ((60, 0.9), (150, 0.8)):
        shares = []
        for _ in range(80):
            fitted = calibrate(*simulated(rng, images, classes), coverage, method)
            probabilities, labels = simulated(rng, 300, classes)
            shares.append(summarize_sets(fitted.sets(probabilities), labels).covered.value)
        assert np.mean(np.array(shares, dtype=np.float64)) >= coverage - 0.01


def test_without_the_likeliest_class_rule_lac_covers_no_more_than_it_should() -> None:
    """Where it is too cautious no test above would see it: 0.9 of continuous scores must not become 0.95."""
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(80):
        fitted = calibrate(*simulated(rng, 99, 5, 1.0), 0.9, "lac")
        probabilities, labels = simulated(rng, 300, 5, 1.0)
        shares.append(fitted.sets(probabilities)[np.arange(300), labels].mean())
    assert 0.89 <= np.mean(shares) <= 0.92


@EVERY_METHOD
@settings(deadline=None, max_examples=25)
@given(case=cases(), coverage=COVERAGES)
def test_calibration_images_are_covered_as_often_as_the_quantile_says(
    method: str, case: Case, coverage: float
) -> None:
    fitted = calibrate(*case, coverage, method)
    covered = fitted.sets(case[0])[np.arange(len(case[1])), case[1]].sum()
    assert covered >= min(len(case[1]), np.floor((len(case[1]) + 1) * coverage))


@OF_ANY_ORDER
@settings(deadline=None, max_examples=25)
@given(case=cases(), coverage=COVERAGES, seed=st.integers(0, 1000))
def test_the_order_of_classes_and_images_does_not_matter(
    method: str, case: Case, coverage: float, seed: int
) -> None:
    probabilities, labels = case
    rng = np.random.default_rng(seed)
    classes, images = rng.permutation(probabilities.shape[1]), rng.permutation(len(labels))
    fitted = calibrate(probabilities, labels, coverage, method)
    moved = probabilities[images][:, classes]
    other = calibrate(moved, np.argsort(classes)[labels[images]], coverage, method)
    assert other == fitted
    assert (other.sets(moved) == fitted.sets(probabilities)[images][:, classes]).all()


@EVERY_METHOD
@settings(deadline=None, max_examples=25)
@given(case=cases(), pair=st.tuples(COVERAGES, COVERAGES))
def test_more_coverage_never_takes_a_class_away(method: str, case: Case, pair: tuple[float, float]) -> None:
    less, more = (calibrate(*case, coverage, method).sets(case[0]) for coverage in sorted(pair))
    assert (less <= more).all()


@OF_ANY_ORDER
@settings(deadline=None, max_examples=25)
@given(case=cases(), coverage=COVERAGES)
def test_a_likelier_class_is_in_before_a_less_likely_one(method: str, case: Case, coverage: float) -> None:
    """So no set is empty, and each is the top of the ranking; equal classes are in or out together."""
    probabilities = case[0]
    sets = calibrate(*case, coverage, method).sets(probabilities)
    assert sets[np.arange(len(sets)), probabilities.argmax(axis=1)].all()
    as_likely = probabilities[:, :, None] >= probabilities[:, None, :]
    assert (sets[:, :, None] >= sets[:, None, :])[as_likely].all()


@OF_ANY_ORDER
@settings(deadline=None, max_examples=25)
@given(case=cases())
def test_scores_are_those_of_a_loop(method: str, case: Case) -> None:
    probabilities = case[0].astype(np.float64)
    expected = np.empty(probabilities.shape)
    for row, out in zip(probabilities, expected, strict=True):
        for c, probability in enumerate(row):
            likelier = row[row > probability]
            penalty = PENALTY * max(0, len(likelier) + 1 - FREE_RANKS) if method == "raps" else 0.0
            out[c] = 1 - probability if method == "lac" else likelier.sum() + penalty
    assert nonconformity(case[0], method) == pytest.approx(expected, abs=1e-9)


@EVERY_METHOD
@settings(deadline=None, max_examples=25)
@given(case=cases(), coverage=COVERAGES)
def test_sets_survive_json(method: str, case: Case, coverage: float) -> None:
    fitted = calibrate(*case, coverage, method)
    assert ConformalSets.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False))) == fitted


@settings(deadline=None, max_examples=100)
@given(case=cases(), coverage=COVERAGES)
def test_sets_of_grades_have_no_holes_and_scores_are_those_of_a_loop(case: Case, coverage: float) -> None:
    probabilities, labels = case
    sets = calibrate(probabilities, labels, coverage, "interval").sets(probabilities)
    assert sets[np.arange(len(sets)), probabilities.argmax(axis=1)].all()
    assert (np.abs(np.diff(sets.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) == 2).all()
    for row, scores in zip(probabilities.astype(float), nonconformity(probabilities, "interval"), strict=True):
        inside = [int(row.argmax())]
        assert scores[inside[0]] == 0
        while len(inside) < len(row):
            around = [grade for grade in (min(inside) - 1, max(inside) + 1) if 0 <= grade < len(row)]
            grade = max(around, key=lambda g: row[g])
            assert scores[grade] == pytest.approx(row[inside].sum(), abs=1e-9)
            inside.append(grade)


def test_scores_by_hand() -> None:
    row = np.array([[0.1, 0.6, 0.3, 0.0]])
    assert nonconformity(row, "lac")[0] == pytest.approx([0.9, 0.4, 0.7, 1.0])
    assert nonconformity(row, "aps")[0] == pytest.approx([0.9, 0.0, 0.6, 1.0])
    assert nonconformity(row, "raps")[0] == pytest.approx([0.95, 0.0, 0.6, 1.1])


@pytest.mark.parametrize(
    ("images", "coverage", "rank"),
    [(9, 0.9, 9), (9, 0.8, 8), (99, 0.95, 95), (999, 0.9, 900), (10, 0.9, 10), (19, 0.95, 19), (1, 0.5, 1), (4, 1e-12, 1)],
)  # fmt: skip
def test_the_quantile_is_the_right_one_of_the_sorted_scores(images: int, coverage: float, rank: int) -> None:
    """(n + 1) * coverage is whole in most of these, where a float's rounding would go one too far."""
    wrong = (np.arange(images) + 1) / (images + 2)  # image i has a score of this, "lac"
    probabilities = np.column_stack([1 - wrong, wrong])
    fitted = calibrate(probabilities, np.zeros(images, dtype=np.int64), coverage, "lac")
    assert fitted.quantile == pytest.approx(wrong[rank - 1])
    assert (fitted.method, fitted.images, fitted.coverage) == ("lac", images, coverage)


def test_too_few_images_leave_no_class_out() -> None:
    probabilities = np.tile([[0.98, 0.01, 0.01]], (8, 1))
    fitted = calibrate(probabilities, np.zeros(8, dtype=np.int64), 0.9, "lac")
    assert fitted.quantile is None
    assert fitted.sets(probabilities).all()
    assert (
        calibrate(np.tile(probabilities[:1], (9, 1)), np.zeros(9, dtype=np.int64), 0.9, "lac").quantile is not None
    )


@EVERY_METHOD
def test_rounding_does_not_drop_the_class_on_the_border(method: str) -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = simulated(rng, 50, 5, 1.0)
    fitted = calibrate(probabilities, labels, 0.8, method)
    on_border = np.isclose(nonconformity(probabilities, method), fitted.quantile, rtol=0, atol=1e-12)
    assert on_border.any()
    for shift in (-3e-8, 3e-8):
        moved = ConformalSets(method, 0.8, (fitted.quantile or 0.0) + shift, 50, 50, "val", None, None).sets(
            probabilities
        )
        assert moved[on_border].all()


@OF_ANY_ORDER
def test_certain_predictions(method: str) -> None:
    labels = np.arange(40) % 4
    certain = np.eye(4, dtype=np.float32)[labels]
    fitted = calibrate(certain, labels, 0.9, method)
    if method != "aps":  # aps can't tell a sure answer from a sum that has reached 1
        assert (fitted.sets(certain) == (certain == 1)).all()
    assert fitted.sets(np.full((1, 4), 0.25)).all()
    assert fitted.sets(np.empty((0, 4))).shape == (0, 4)


def test_what_can_not_be_calibrated() -> None:
    probabilities, labels = simulated(np.random.default_rng(0), 20, 3)
    for coverage in (0.0, 1.0, 90.0, float("nan")):
        with pytest.raises(ConfigError, match="must lie between 0 and 1"):
            calibrate(probabilities, labels, coverage, "lac")
    with pytest.raises(
        ConfigError, match=r"unknown method 'rasp' \(did you mean 'raps'\?\); valid: aps, interval, lac, raps"
    ):
        calibrate(probabilities, labels, 0.9, "rasp")
    with pytest.raises(DataError, match="there is no image"):
        calibrate(probabilities[:0], labels[:0], 0.9, "lac")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "lax"}, r"unknown method 'lax' \(did you mean 'lac'\?\)"),
        ({"coverage": 1.0}, "coverage, images or independent is out of range"),
        ({"images": 0}, "coverage, images or independent is out of range"),
        ({"quantile": None}, "the quantile can't be that of 50 images"),
        ({"independent": 5}, "the quantile can't be that of 50 images"),
        ({"quantile": -0.1}, "the quantile can't be that of 50 images"),
        ({"quantile": float("inf")}, "quantile: damaged: inf is not a number"),
        ({"quantil": 0.5}, r"unknown field 'quantil' \(did you mean 'quantile'\?\)"),
    ],
)
def test_damaged_sets(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message) as caught:
        ConformalSets.from_dict(ConformalSets("lac", 0.9, 0.7, 50, 50.0, "val", None, None).to_dict() | changes)
    assert "\n" not in str(caught.value)


# -- summaries


def test_summary_by_hand() -> None:
    sets = np.array([[True, False, False], [True, True, False], [True, True, True], [False, True, False]])
    result = summarize_sets(sets, np.array([0, 2, 2, 0]))
    assert result.covered == Proportion.of(2, 4)
    assert result.mean_size == 7 / 4
    assert result.singletons == Proportion.of(2, 4)
    assert result.not_sure == Proportion.of(1, 4)


@pytest.mark.parametrize(
    ("sets", "labels", "message"),
    [
        (np.ones((2, 3)), np.array([0, 1]), r"sets are float64 \(2, 3\), not bool"),
        (np.ones((0, 3), dtype=bool), np.empty(0, dtype=np.int64), "there is no image"),
        (np.ones((2, 3), dtype=bool), np.array([0, 3]), "label 3 of image 1 is of no class"),
    ],
)
def test_what_can_not_be_summed_up(sets: Array, labels: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        summarize_sets(sets, labels)


def test_sure_and_right_networks_get_sets_of_one_class() -> None:
    """Where the likeliest class is right more often than the coverage asks for, no set needs a second one."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 11, size=600)
    probabilities = np.full((600, 11), 0.01)
    named = np.where(rng.random(600) < 0.97, labels, (labels + 1) % 11)
    probabilities[np.arange(600), named] = 0.9
    for method in ("aps", "raps"):
        sets = calibrate(probabilities, labels, 0.9, method).sets(probabilities)
        assert (sets.sum(axis=1) == 1).all()
