"""Selections by every strategy: their members, weights and temperature."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.decisions.temperature import apply_temperature, fit_temperature
from medray.ensemble.averaging import average
from medray.ensemble.calibrate_ensemble import calibrate_selection
from medray.ensemble.candidates import Pool
from medray.ensemble.selection import all_selections, make_selection
from medray.ensemble.strategies import greedy
from medray.errors import DataError
from medray.stats.calibration import brier_score
from medray.tasks import SINGLE
from tests.ensemble.candidate_samples import noisy, pool

LABELS = np.arange(60) % 3


def some_pool(count: int, folds: int | None = None, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    skills = np.linspace(2, 0.5, count)
    return pool([noisy(rng, LABELS, 3, skill) for skill in skills], LABELS, folds)


def test_every_strategy_is_there_the_best_single_trial_first() -> None:
    trials, folds = some_pool(6), some_pool(2, folds=3)
    selections = all_selections([trials, folds], "auc", 4)
    assert [(selection.strategy, selection.source) for selection in selections] == [
        ("single", "trials"), ("top-k", "trials"), ("greedy", "trials"),
        ("folds", "folds"), ("top-k", "folds"), ("greedy", "folds"),
    ]  # fmt: skip
    assert [selection.selected_on for selection in selections] == ["val"] * 3 + ["out-of-fold"] * 3
    assert [len(selection.members) for selection in selections[:2]] in ([1, 2], [1, 3], [1, 4])
    assert [len(selection.members) for selection in selections[3:5]] in ([3, 3], [3, 6])
    single = selections[0].scores["auc"]
    assert selections[2].scores["auc"] >= single - 1e-6
    nothing = Pool("folds", [], np.empty(0, dtype=np.int64))
    assert [selection.strategy for selection in all_selections([trials, nothing], "auc", 4)] == [
        "single",
        "top-k",
        "greedy",
    ]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.sampled_from([None, 2, 5]), st.integers(0, 1000))
def test_weights_sum_to_1_and_a_candidates_is_shared_by_its_folds(
    count: int, folds: int | None, seed: int
) -> None:
    candidates = some_pool(count, folds, seed)
    selected = greedy(candidates.candidates, LABELS, "log_loss")
    selection = make_selection("greedy", candidates, selected)
    assert sum(weight for _, weight in selection.members) == pytest.approx(1, abs=1e-12)
    total = sum(weight for _, weight in selected)
    for candidate, weight in selected:
        parts = [w for member, w in selection.members if member.record.number == candidate.number]
        assert len(parts) == (folds or 1)
        assert parts == pytest.approx([weight / total / len(parts)] * len(parts))
    names = [member.name for member, _ in selection.members]
    assert len(set(names)) == len(names)
    expected = sum(weight * candidate.probabilities.astype(np.float64) for candidate, weight in selected) / total
    assert np.allclose(selection.probabilities, expected, atol=1e-6)


def test_the_temperature_is_that_of_the_averaged_predictions() -> None:
    candidates = some_pool(3)
    uncalibrated = make_selection("top-k", candidates, [(candidate, 1.0) for candidate in candidates.candidates])
    averaged = average([c.probabilities for c in candidates.candidates])
    selection = calibrate_selection(uncalibrated, "val", averaged, LABELS, None).selection
    assert selection.temperatures == (fit_temperature(averaged, LABELS),)
    assert np.array_equal(selection.calibrated, apply_temperature(averaged, *selection.temperatures))
    assert selection.calibrated_scores["log_loss"] < selection.scores["log_loss"]
    assert selection.scores == {**SINGLE.measure(averaged, LABELS), "brier": brier_score(averaged, LABELS)}
    assert (uncalibrated.temperatures, uncalibrated.calibrated_on, selection.calibrated_on) == (
        (1.0,),
        None,
        "val",
    )


def test_as_plain_values_it_says_all_that_is_needed_to_average_it_again() -> None:
    selection = make_selection(
        "top-k", some_pool(2, folds=2), [(c, 1.0) for c in some_pool(2, folds=2).candidates]
    )
    content = json.loads(json.dumps(selection.facts().to_dict(), allow_nan=False))
    assert content["members"] == [
        {"trial": trial, "fold": fold, "weight": 0.25} for trial in (0, 1) for fold in (0, 1)
    ]  # fmt: skip
    assert (content["strategy"], content["source"], content["selected_on"]) == ("top-k", "folds", "out-of-fold")
    assert (content["images"], content["temperatures"]) == (60, list(selection.temperatures))


def test_a_class_without_an_image_leaves_its_auc_out() -> None:
    labels = LABELS % 2
    rng = np.random.default_rng(0)
    selection = all_selections([pool([noisy(rng, labels, 3, 1.0)], labels)], "accuracy", 4)[0]
    assert "auc" not in selection.scores
    assert np.isfinite(list(selection.scores.values())).all()


def damaged(part: Array) -> Array:
    broken = part.copy()
    broken[4, 1] = np.nan
    return broken


def test_probabilities_that_are_none_are_refused() -> None:
    candidates = some_pool(2)
    parts = [damaged(candidates.candidates[0].probabilities), candidates.candidates[1].probabilities]
    selection = make_selection("top-k", pool(parts, LABELS), [(c, 1.0) for c in pool(parts, LABELS).candidates])
    with pytest.raises(DataError, match="image 4"):
        calibrate_selection(selection, "val", selection.probabilities, LABELS, None)


# -- the mean itself


def test_average_weighs_its_parts() -> None:
    parts = [np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)]
    assert average(parts, [3.0, 1.0]).tolist() == [[0.75, 0.25]]
    assert average(parts).tolist() == [[0.5, 0.5]]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_average_is_a_distribution_between_its_parts(count: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.dirichlet(np.ones(classes), size=9).astype(np.float32) for _ in range(count)]
    weights = rng.uniform(0.1, 3, size=count).tolist()
    mean = average(parts, weights)
    assert mean.dtype == np.float32
    assert np.allclose(mean.sum(axis=1), 1, atol=1e-6)
    assert (mean >= np.min(parts, axis=0) - 1e-6).all()
    assert (mean <= np.max(parts, axis=0) + 1e-6).all()
    assert np.allclose(mean, average(parts, [7 * weight for weight in weights]), atol=1e-6)
