"""The difference of a score between two independent sets of images: covered 19 times in 20."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray._types import Array
from medray.stats.bootstrap import Estimate
from medray.stats.rates import Proportion
from medray.stats.score_gap import score_gap
from medray.stats.score_intervals import score_interval
from medray.stats.scores import Predictions
from medray.stats.share_gap import share_gap
from tests.label_set_samples import LabelSetWorld

shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(shares, shares)
def test_it_is_the_other_gap_turned_round_and_stays_in_range(here: list[float], there: list[float]) -> None:
    first, second = (Estimate(value, low, high) for low, value, high in (here, there))
    gap, turned = score_gap(first, second), score_gap(second, first)
    assert gap.value is not None
    assert gap.low is not None
    assert gap.high is not None
    assert turned.value is not None
    assert turned.low is not None
    assert turned.high is not None
    assert (gap.value, gap.low, gap.high) == pytest.approx((-turned.value, -turned.high, -turned.low), abs=1e-12)
    assert -1 - 1e-9 <= gap.low <= gap.value <= gap.high <= 1 + 1e-9


def test_of_two_shares_it_is_newcombes_interval() -> None:
    hits, inside = np.repeat([True, False, True, False], [56, 14, 48, 32]), np.arange(150) < 70
    newcombe = share_gap(hits, inside)
    from medray.stats.effective_share import EffectiveShare

    ends = [EffectiveShare(count / n, n, float("inf")).interval(0.025) for count, n in ((56, 70), (48, 80))]
    gap = score_gap(Estimate(56 / 70, *ends[0]), Estimate(48 / 80, *ends[1]))
    assert (gap.value, gap.low, gap.high) == pytest.approx((newcombe.value, newcombe.low, newcombe.high), abs=1e-9)


def test_without_an_interval_on_one_side_there_is_none_and_it_says_why() -> None:
    known, unknown = Estimate(0.8, 0.7, 0.9), Estimate(0.6, None, None, "5 images: too few")
    assert score_gap(known, unknown) == Estimate(pytest.approx(0.2), None, None, "5 images: too few")
    assert score_gap(Estimate(None, None, None, "no image of 1"), known).reason == "no image of 1"
    assert score_gap(Proportion.of(8, 10), Proportion.of(5, 10)).value == pytest.approx(0.3)


def drawn(rng: np.random.Generator, images: int, signal: float) -> Predictions:
    """Answers of a model on new images of two classes; the signal says how good it is."""
    labels = (rng.random(images) < 0.35).astype(np.int64)
    odds = rng.normal(signal * (labels - 0.35), 1.0)
    chance = 1 / (1 + np.exp(-odds))
    return Predictions(np.stack([1 - chance, chance], axis=1), labels, 2)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "log_loss", "brier", "f1_macro"])
def test_the_interval_covers_the_true_difference(metric: str) -> None:
    rng = np.random.default_rng(5)
    truth: list[Array] = [drawn(rng, 200_000, signal).scores()[metric] for signal in (1.2, 2.2)]  # type: ignore[misc]
    difference = float(truth[0] - truth[1])
    covered, studies = 0, 400
    for _ in range(studies):
        here, there = (score_interval(metric, drawn(rng, n, s)) for n, s in ((150, 1.2), (90, 2.2)))
        gap = score_gap(here, there)
        assert gap.low is not None
        assert gap.high is not None
        covered += gap.low <= difference <= gap.high
    assert covered / studies >= 0.93


@pytest.mark.parametrize("metric", ["auc", "exact_match", "log_loss", "brier"])
def test_of_several_labels_it_covers_too_with_patients_and_unknown_labels(metric: str) -> None:
    rng = np.random.default_rng(8)
    here, there = (
        LabelSetWorld(patients, 3, (0.3, 0.4, 0.25), separation=separation, unknown=0.1)
        for patients, separation in ((100, 1.0), (70, 1.6))
    )
    truth = [world.draw(rng, 60_000)[0].scores()[metric] for world in (here, there)]
    covered, studies = 0, 200
    for _ in range(studies):
        estimates = [score_interval(metric, *world.draw(rng)) for world in (here, there)]
        gap = score_gap(*estimates)
        assert gap.low is not None
        assert gap.high is not None
        covered += gap.low <= truth[0] - truth[1] <= gap.high
    assert covered / studies >= 0.92
