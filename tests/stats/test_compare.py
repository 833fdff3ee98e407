"""Two models on the same images: the paired tests and their level, alone and in a family, and the verdict."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.bootstrap import bootstrap, percentile_interval, resample_counts
from medray.stats.compare import (
    BETTER,
    NOT_SHOWN,
    NOT_TESTED,
    WORSE,
    PairedComparison,
    bootstrap_p,
    compare_models,
    holm,
    mcnemar,
    verdict,
)
from medray.stats.influence import Influence, difference
from medray.stats.score_intervals import score_influence
from medray.stats.score_names import OF_CLASSES
from medray.stats.scores import Predictions

CLASSES, IMAGES = 3, 300


def model(skill: float, seed: int = 0, confidence: float = 0.9) -> Predictions:
    """A model that is right for a share `skill` of the images, and as confident either way."""
    rng = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % CLASSES
    said = np.where(rng.random(IMAGES) < skill, labels, (labels + rng.integers(1, CLASSES, IMAGES)) % CLASSES)
    probabilities = np.full((IMAGES, CLASSES), (1 - confidence) / (CLASSES - 1))
    probabilities[np.arange(IMAGES), said] = confidence
    return Predictions(probabilities, labels, CLASSES)


def compared(reference: Predictions, other: Predictions, metric: str, resamples: int = 200) -> PairedComparison:
    models = {"reference": reference, "other": other}
    draws = bootstrap(models, resample_counts(len(reference), resamples, 0))
    return compare_models("reference", "other", metric, models, draws)


GOOD, BAD = model(0.9, seed=1), model(0.6, seed=2)
BOTH = {"good": GOOD, "bad": BAD}
DRAWS = bootstrap(BOTH, resample_counts(IMAGES, 200, 0))


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_a_model_does_not_differ_from_itself(metric: str) -> None:
    result = compare_models("good", "good", metric, BOTH, DRAWS)
    test = {"auc": "DeLong", "accuracy": "McNemar", "calibration_error": "bootstrap"}.get(metric, "Student's t")
    assert result == PairedComparison("good", "good", metric, 0.0, 0.0, 0.0, 1.0, test, 1.0)
    assert verdict(result, result.p) == "no difference shown"


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_without_resamples_only_the_bootstrap_is_missing(metric: str) -> None:
    with_draws = compare_models("good", "bad", metric, BOTH, DRAWS)
    result = compare_models("good", "bad", metric, BOTH, None)
    assert result.difference == with_draws.difference
    assert result.bootstrap_p is None
    if metric == "calibration_error":
        assert (result.low, result.high, result.p) == (None, None, None)
    else:
        assert (result.low, result.high, result.p) == (with_draws.low, with_draws.high, with_draws.p)


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_the_better_model_is_better_whichever_way_the_metric_goes(metric: str) -> None:
    result, turned = (
        compare_models("good", "bad", metric, BOTH, DRAWS),
        compare_models("bad", "good", metric, BOTH, DRAWS),
    )
    assert (verdict(result, result.p), verdict(turned, turned.p)) == ("better", "worse")
    assert result.difference is not None
    assert (result.difference > 0) == (OF_CLASSES[metric] == "max")
    assert result.difference == GOOD.scores()[metric] - BAD.scores()[metric]
    assert result.bootstrap_p == turned.bootstrap_p == pytest.approx(2 / 201)
    assert result.p is not None
    assert result.p == pytest.approx(turned.p)
    assert result.p < 0.01


@pytest.mark.parametrize("metric", OF_CLASSES)
def test_turned_around_only_the_signs_change(metric: str) -> None:
    result, turned = (
        compare_models("good", "bad", metric, BOTH, DRAWS),
        compare_models("bad", "good", metric, BOTH, DRAWS),
    )
    assert None not in (result.difference, result.low, result.high)
    assert (result.difference, result.low, result.high) == pytest.approx(
        (-(turned.difference or 0), -(turned.high or 0), -(turned.low or 0)), abs=1e-12
    )


def test_pairing_shows_a_difference_that_two_intervals_hide() -> None:
    """A model that is right wherever the other is, and for 8 images more."""
    other = model(0.7, seed=3)
    probabilities = other.probabilities.copy()
    mended = np.flatnonzero(~other.correct)[:8]
    probabilities[mended] = np.where(np.eye(CLASSES)[other.labels[mended]] == 1, 0.9, 0.05)
    better = Predictions(probabilities, other.labels, CLASSES)
    result = compared(better, other, "accuracy")
    assert verdict(result, result.p) == "better"
    apart = [
        percentile_interval(bootstrap({"x": one}, resample_counts(IMAGES, 200, 0))["x"]["accuracy"])
        for one in (other, better)
    ]
    assert apart[0] is not None
    assert apart[1] is not None
    assert apart[0][1] > apart[1][0]  # each model's own interval overlaps the other's


def test_a_score_that_is_not_defined_is_not_compared() -> None:
    labels = np.repeat([0, 1], [IMAGES - 1, 1])
    one = Predictions(np.full((IMAGES, 2), 0.5), labels * 0, 2)
    result = compared(one, one, "auc", resamples=5)
    assert result == PairedComparison("reference", "other", "auc", None, None, None, None, "DeLong", None)
    assert verdict(result, result.p) == "not tested"


def test_what_can_not_be_compared() -> None:
    with pytest.raises(ConfigError, match=r"unknown metric 'acuracy' \(did you mean 'accuracy'\?\); valid: acc"):
        compare_models("good", "bad", "acuracy", BOTH, DRAWS)
    with pytest.raises(ConfigError, match=r"unknown model 'goood' \(did you mean 'good'\?\); valid: bad, good"):
        compare_models("good", "goood", "accuracy", BOTH, DRAWS)
    fewer = DRAWS | {"bad": {name: values[:7] for name, values in DRAWS["bad"].items()}}
    with pytest.raises(DataError, match="'good' has 200 resamples and 'bad' 7: they can't be paired"):
        compare_models("good", "bad", "accuracy", BOTH, fewer)
    with pytest.raises(ConfigError, match="unknown metric 'speed'"):
        verdict(PairedComparison("a", "b", "speed", 0.1, 0.1, 0.1, 0.01, "bootstrap", None), 0.01)


@pytest.mark.parametrize(
    ("metric", "low", "high", "p", "expected"),
    [
        ("auc", 0.01, 0.05, 0.01, BETTER),
        ("auc", -0.05, -0.01, 0.01, WORSE),
        ("brier", 0.01, 0.05, 0.01, WORSE),
        ("brier", -0.05, -0.01, 0.01, BETTER),
        ("auc", -0.01, 0.05, 0.2, NOT_SHOWN),
        ("auc", 0.0, 0.05, 0.05, NOT_SHOWN),
        ("auc", 0.001, 0.05, 0.051, NOT_SHOWN),  # too few resamples to tell
    ],
)
def test_verdict(metric: str, low: float, high: float, p: float, expected: str) -> None:
    comparison = PairedComparison("a", "b", metric, (low + high) / 2, low, high, 0.001, "bootstrap", None)
    assert verdict(comparison, p) == expected
    assert verdict(comparison, None) == NOT_TESTED


# -- p of the bootstrap


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=50))
def test_p_is_two_sided_and_never_0(values: list[int]) -> None:
    differences = np.array(values, dtype=np.float64)
    p, count = bootstrap_p(differences), len(values)
    assert 1 / (count + 1) <= p <= 1
    assert p == bootstrap_p(-differences) == bootstrap_p(np.append(differences, np.nan))
    at_most, at_least = sum(v <= 0 for v in values) + 1, sum(v >= 0 for v in values) + 1
    assert p == pytest.approx(min(1, 2 * min(at_most, at_least) / (count + 1)), abs=1e-12)


def test_p_of_nothing() -> None:
    with pytest.raises(DataError, match="no resample in which both models have a score"):
        bootstrap_p(np.array([np.nan, np.nan]))


def test_a_difference_by_chance_is_shown_1_time_in_20() -> None:
    """Two models that are right equally often, by independent luck."""
    rng, result = np.random.default_rng(0), []
    for seed in range(200):
        gap = (rng.random(100) < 0.75).astype(float) - (rng.random(100) < 0.75)
        result.append(bootstrap_p(np.array(list(resample_counts(100, 200, seed))) @ gap / 100))
    assert 0.005 <= np.mean(np.array(result) <= 0.05) <= 0.11
    assert 0.4 <= np.mean(np.array(result) <= 0.5) <= 0.6


# -- a family of comparisons


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_is_that_of_its_definition(values: list[float | None]) -> None:
    adjusted, defined = holm(values), sorted(value for value in values if value is not None)
    for value, result in zip(values, adjusted, strict=True):
        if value is None:
            assert result is None
            continue
        steps = [(len(defined) - k) * p for k, p in enumerate(defined) if p <= value]
        assert result == pytest.approx(min(1.0, max(steps)))


def test_a_family_without_differences_is_wrong_at_most_1_time_in_20() -> None:
    """Sixteen models that rank as well as the reference does, and resemble it and each other."""
    rng, labels, wrong, draws = (
        np.random.default_rng(0),
        np.repeat([0, 1], [70, 30]),
        {"auc": 0, "accuracy": 0},
        150,
    )
    for _ in range(draws):
        shared = rng.normal(size=100)
        models = []
        for _ in range(17):
            score = 1.5 * labels + 0.8 * shared + 0.6 * rng.normal(size=100)
            chance = 1 / (1 + np.exp(0.75 - score))
            models.append(Predictions(np.stack([1 - chance, chance], axis=1), labels, 2))
        for metric in wrong:
            influences = [score_influence(metric, each) for each in models]
            values = []
            for each, influence in zip(models[1:], influences[1:], strict=True):
                assert isinstance(influences[0], Influence)
                assert isinstance(influence, Influence)
                gap = difference(influences[0], influence, 0.95)
                assert gap is not None
                values.append(mcnemar(models[0].correct, each.correct).p if metric == "accuracy" else gap.p)
            wrong[metric] += min(p or 0 for p in holm(values)) <= 0.05
    assert max(wrong.values()) / draws <= 0.05


@pytest.mark.parametrize("metric", ["auc", "balanced_accuracy", "brier"])
@pytest.mark.parametrize("by_patient", [False, True])
def test_one_comparison_without_a_difference_is_wrong_about_1_time_in_20(metric: str, by_patient: bool) -> None:
    rng, wrong, draws, each = np.random.default_rng(1), 0, 500, 4 if by_patient else 1
    groups = np.arange(100 * each) // each
    labels = (groups < 40).astype(np.int64)
    for _ in range(draws):
        shared = 0.5 * rng.normal(size=100)[groups] + 0.5 * rng.normal(size=len(groups))
        models = []
        for _ in range(2):
            noise = 0.5 * rng.normal(size=100)[groups] + 0.5 * rng.normal(size=len(groups))
            chance = 1 / (1 + np.exp(0.6 - 1.2 * labels - shared - noise))
            models.append(Predictions(np.stack([1 - chance, chance], axis=1), labels, 2))
        influences = [score_influence(metric, model, groups if by_patient else None) for model in models]
        assert isinstance(influences[0], Influence)
        assert isinstance(influences[1], Influence)
        gap = difference(influences[0], influences[1], 0.95)
        assert gap is not None
        assert (gap.p <= 0.05) == (not gap.low <= 0 <= gap.high)
        wrong += gap.p <= 0.05
    assert 0.01 <= wrong / draws <= 0.075


def test_few_cases_or_patients_are_not_compared() -> None:
    few = Predictions(GOOD.probabilities[:27], GOOD.labels[:27], CLASSES)
    other = Predictions(BAD.probabilities[:27], BAD.labels[:27], CLASSES)
    result = compared(few, other, "auc")
    assert (result.low, result.high, result.p, result.bootstrap_p) == (None, None, None, None)
    assert result.difference is not None
    assert verdict(result, result.p) == "not tested"
    assert compared(few, other, "accuracy").p is not None
    patients = np.arange(IMAGES) % 9
    draws = bootstrap(BOTH, resample_counts(IMAGES, 20, 0, patients))
    assert compare_models("good", "bad", "accuracy", BOTH, draws, patients).p is None


# -- McNemar


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[Array, Array]:
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_mcnemar_is_the_exact_sum_of_the_binomial(counts: tuple[int, int, int, int]) -> None:
    _, only_a, only_b, _ = counts
    result = mcnemar(*pairs(*counts))
    discordant = only_a + only_b
    tail = sum(math.comb(discordant, k) for k in range(min(only_a, only_b) + 1)) / 2**discordant
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p == pytest.approx(min(1.0, 2 * tail), abs=1e-9)
    assert mcnemar(*pairs(*counts)[::-1]).p == pytest.approx(result.p, abs=1e-12)


def test_mcnemar_without_a_discordant_pair() -> None:
    assert mcnemar(*pairs(5, 0, 0, 3)).p == 1.0
    assert mcnemar(GOOD.correct, GOOD.correct).p == 1.0


def test_mcnemar_shows_what_the_bootstrap_shows() -> None:
    result = mcnemar(GOOD.correct, BAD.correct)
    assert result.only_a > result.only_b
    assert result.p < 1e-6


def test_whole_patients_are_exchanged_where_they_are_known() -> None:
    """Of 16 ways to exchange four patients, those of which the sum is as far from 0 are counted."""
    ahead = np.array([3, 2, 1, -1])
    a = np.concatenate([np.repeat([gap > 0], abs(gap)) for gap in ahead])
    groups = np.repeat(np.arange(4), np.abs(ahead))
    sums = [abs(sum(np.array(signs) * np.abs(ahead))) for signs in itertools.product([1, -1], repeat=4)]
    assert mcnemar(a, ~a, groups).p == pytest.approx(np.mean([total >= 5 for total in sums]))
    assert mcnemar(a, ~a, np.arange(7)).p == pytest.approx(mcnemar(a, ~a).p)
    assert mcnemar(a, ~a, np.zeros(7)).p == 1.0


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.ones(3, dtype=bool), np.ones(2, dtype=bool), "3 and 2 images"),
        (np.ones(3), np.ones(3, dtype=bool), r"correct is float64 \(3,\), not bool"),
        (np.ones(3, dtype=bool), np.ones((3, 1), dtype=bool), r"correct is bool \(3, 1\)"),
        (np.ones(0, dtype=bool), np.ones(0, dtype=bool), r"correct is bool \(0,\)"),
    ],
)
def test_what_mcnemar_refuses(a: Array, b: Array, words: str) -> None:
    with pytest.raises(DataError, match=words):
        mcnemar(a, b)
