"""Intervals of an AUC: they hold it with few cases, near 1 and for patients, and miss it on both sides."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from medray._types import Array
from medray.errors import ConfigError
from medray.stats.auc_interval import auc_influence, auc_interval
from medray.stats.bootstrap import Estimate
from medray.stats.metrics import auc

Data = tuple[Array, Array, Array | None]  # probabilities, labels, patients


def two_classes(scores: Array) -> Array:
    """Probabilities that rank images as any `scores` do."""
    chance = ndtr(scores / 8)
    return np.stack([1 - chance, chance], axis=1)


def missed(draw: Callable[[], Data], truth: float, draws: int) -> tuple[float, float]:
    """How often the interval lies above the truth, and below it."""
    ends = np.array([(r.low, r.high) for r in (auc_interval(*draw()) for _ in range(draws))], dtype=np.float64)
    return float((ends[:, 0] > truth).mean()), float((ends[:, 1] < truth).mean())


@pytest.mark.parametrize(
    ("cases", "rest", "truth", "spread", "draws"),
    [
        (10, 40, 0.85, 2.0, 1000), (10, 200, 0.7, 1.0, 1000), (20, 200, 0.85, 2.0, 4000), (50, 50, 0.95, 0.5, 1000),
        (300, 100, 0.99, 0.5, 1000), (500, 500, 0.99, 1.0, 1000),
    ],
)  # fmt: skip
def test_the_interval_holds_the_auc_19_times_in_20(
    cases: int, rest: int, truth: float, spread: float, draws: int
) -> None:
    """Scores are normal; the cases' standard deviation is `spread`, the others' 1.

    The third point is the hardest that is known for normal scores: 0.934 over 5,000 draws, so it has more of them.
    """
    rng, labels = np.random.default_rng(0), np.repeat([1, 0], [cases, rest])
    mean = ndtri(truth) * math.hypot(1, spread)

    def draw() -> Data:
        return two_classes(rng.normal(mean * labels, np.where(labels, spread, 1.0))), labels, None

    high, low = missed(draw, truth, draws)
    assert 0.925 <= 1 - high - low <= 0.985
    assert max(high, low) <= 0.055
    if (truth <= 0.9 and cases > 10) or cases >= 500:
        assert min(high, low) >= 0.004


@pytest.mark.parametrize(("cases", "rest", "truth"), [(10, 10, 0.999), (20, 200, 0.999), (100, 100, 0.999)])
def test_an_auc_near_1_is_held_too(cases: int, rest: int, truth: float) -> None:
    """Nearly every draw ranks all images rightly, so that more than 19 in 20 hold it."""
    rng, labels = np.random.default_rng(0), np.repeat([1, 0], [cases, rest])
    mean = ndtri(truth) * math.sqrt(2)
    high, low = missed(lambda: (two_classes(rng.normal(mean * labels)), labels, None), truth, 500)
    assert high + low <= 0.06


@pytest.mark.parametrize(
    ("cases", "rest", "truth", "alike", "mixed"),
    [
        (12, 60, 0.7, 0.4, False), (30, 30, 0.9, 0.8, False), (100, 100, 0.7, 0.8, False),
        (30, 30, 0.9, 0.8, True), (100, 100, 0.9, 0.4, True),
    ],
)  # fmt: skip
def test_the_interval_holds_the_auc_of_patients_with_five_images(
    cases: int, rest: int, truth: float, alike: float, mixed: bool
) -> None:
    """`alike` is the correlation of a patient's scores, whose images are of one class or of both (`mixed`)."""
    rng, patients = np.random.default_rng(0), cases + rest
    groups = np.repeat(np.arange(patients), 5)

    def draw() -> Data:
        labels = np.where(groups < cases, 1, 0)
        if mixed:
            labels = (rng.random(5 * patients) < cases / patients).astype(np.int64)
        noise = math.sqrt(alike) * rng.normal(size=patients)[groups]
        noise += math.sqrt(1 - alike) * rng.normal(size=5 * patients)
        return two_classes(noise + ndtri(truth) * math.sqrt(2) * labels), labels, groups

    high, low = missed(draw, truth, 600)
    assert 0.925 <= 1 - high - low <= 0.985
    assert 0.004 <= min(high, low) <= max(high, low) <= 0.055


@pytest.mark.parametrize(("classes", "images", "gap"), [(4, 12, 1.0), (3, 60, 1.5), (8, 15, 1.0)])
def test_the_interval_holds_the_mean_of_several_classes(classes: int, images: int, gap: float) -> None:
    rng = np.random.default_rng(0)

    def draw(images: int = images) -> Data:
        labels = np.repeat(np.arange(classes), images)
        scores = np.exp(rng.normal(size=(len(labels), classes)) + gap * np.eye(classes)[labels])
        return scores / scores.sum(axis=1, keepdims=True), labels, None

    truth = float(np.mean([auc(*draw(2000)[:2]) for _ in range(10)]))
    high, low = missed(draw, truth, 600)
    assert 0.925 <= 1 - high - low <= 0.985
    assert max(high, low) <= 0.055


def test_a_perfect_model_on_50_images_is_not_certain() -> None:
    labels = np.repeat([0, 1], [30, 20])
    result = auc_interval(np.eye(2)[labels], labels)
    assert (result.value, result.high) == (1.0, 1.0)
    assert result.low is not None
    assert 0.7 < result.low < 0.93


@pytest.mark.parametrize(("images", "truth"), [(10, 0.99), (100, 0.999)])
def test_cases_that_a_model_cannot_see_are_held_less_often(images: int, truth: float) -> None:
    """A share of the cases looks like the others, the rest is far from them: no draw without one can tell of it."""
    rng, labels = np.random.default_rng(0), np.repeat([1, 0], [images, images])

    def draw() -> Data:
        hidden = rng.random(2 * images) < 2 * (1 - truth)
        return two_classes(rng.normal(12.0 * (labels & ~hidden))), labels, None

    high, low = missed(draw, truth, 1000)
    assert 0.89 <= 1 - high - low <= 0.985


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.integers(10, 40), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_any_auc_lies_in_its_interval_which_is_never_empty(
    classes: int, images: int, seed: int, coarse: bool, grouped: bool
) -> None:
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(classes), images)
    scores = rng.random((len(labels), classes)) + rng.random() * 2 * np.eye(classes)[labels]
    scores = (scores * 4).round() + 1 if coarse else scores
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    groups = rng.permutation(len(labels)) // 2 if grouped else None
    result = auc_interval(probabilities, labels, groups)
    assert result.value == pytest.approx(auc(probabilities, labels), abs=1e-12)
    if result.low is None or result.high is None:
        assert grouped
        assert result.reason is not None
        return
    assert 0 <= result.low <= result.value <= result.high <= 1
    assert result.high - result.low > 0.02


def test_influences_are_the_components_of_delong() -> None:
    """Against his own sums over all pairs, for scores with ties."""
    rng, labels = np.random.default_rng(0), np.repeat([1, 0], [15, 25])
    scores = (rng.normal(labels) * 3).round()
    cases, rest = scores[labels == 1], scores[labels == 0]
    wins = (cases[:, None] > rest) + 0.5 * (cases[:, None] == rest)
    variance = wins.mean(axis=1).var(ddof=1) / 15 + wins.mean(axis=0).var(ddof=1) / 25
    alone, twice = auc_influence(two_classes(scores), labels), np.repeat(np.arange(40), 2)
    assert alone.value == pytest.approx(wins.mean())
    assert np.square(alone.by_patient).sum() == pytest.approx(variance)
    copies = auc_influence(two_classes(scores[twice]), labels[twice], twice)  # two images of each patient
    assert np.square(copies.by_patient).sum() == pytest.approx(variance)
    assert copies.patients.tolist() == [25, 15]


def test_few_cases_have_no_interval_and_it_says_why() -> None:
    labels = np.repeat([0, 1], [40, 9])
    probabilities = two_classes(np.random.default_rng(0).normal(labels))
    result = auc_interval(probabilities, labels)
    assert (result.value, result.low, result.high) == (pytest.approx(auc(probabilities, labels)), None, None)
    assert result.reason == "9 images of a class: too few"
    labels = np.repeat([0, 1], [40, 40])
    patients = np.concatenate([np.arange(40), 100 + np.arange(40) % 7])
    assert auc_interval(np.eye(2)[labels], labels, patients).reason == "7 patients of a class: too few"
    result = auc_interval(np.eye(2)[labels * 0], labels * 0)
    assert result == Estimate(None, None, None, "0 images of a class: too few")
    result = auc_interval(np.full((80, 2), 0.5), labels)
    assert result == Estimate(0.5, None, None, "all images have the same probability")


def test_confidence_is_between_0_and_1() -> None:
    with pytest.raises(ConfigError, match="confidence is 95; it must lie between 0 and 1"):
        auc_interval(np.eye(2), np.array([0, 1]), confidence=95)
