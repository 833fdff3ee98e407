"""Evidence over repeated looks keeps its error rate over all of them together, and finds what is wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.errors import DataError
from medray.stats.sequential import (
    ALPHA,
    TOLERATED,
    evidence_above,
    evidence_below,
    evidence_of_miscalibration,
    share_sequence,
)

LOOKS = 600
AT = np.unique(np.geomspace(1, LOOKS, 40).astype(int))  # benchmarks/promises looks after every patient
STUDIES = 150


def hits(count: int, total: int) -> np.ndarray:
    """So many hits among so many images of a patient each."""
    return (np.arange(total) < count).astype(float)


def streams(share: float, seed: int = 0) -> np.ndarray:
    """Running counts of hits, int (studies, looks)."""
    return np.cumsum(np.random.default_rng(seed).random((STUDIES, LOOKS)) < share, axis=1)


def ever(rates: np.ndarray) -> float:
    """At most this share is alarmed by chance, where the true one is ALPHA: three standard errors above."""
    return float(rates.mean() - 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(rates)))


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_a_sequence_holds_the_share_at_all_looks_together(share: float) -> None:
    looks = (5, 20, 60, 200, LOOKS)
    missed = np.zeros(STUDIES, dtype=bool)
    for row, counts in enumerate(streams(share)):
        for n in looks:
            low, high = share_sequence(hits(counts[n - 1], n))
            missed[row] |= not low <= share <= high
    assert ever(missed) <= ALPHA


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_an_alarm_of_a_share_is_false_in_few_studies_however_often_one_looks(share: float) -> None:
    for counts_of, evidence in ((streams(share), evidence_below), (streams(share, 1), evidence_above)):
        alarmed = [
            any(evidence(hits(c, n), share) >= 1 / ALPHA for n, c in zip(AT, counts[AT - 1], strict=True))
            for counts in counts_of
        ]
        assert ever(np.array(alarmed)) <= ALPHA


def test_a_fresh_test_at_every_look_would_not() -> None:
    """Why this file is there: a test of 5 % at each of 600 looks."""
    from scipy.stats import binom

    counts, looks = streams(0.9), np.arange(1, LOOKS + 1)
    alarmed = (binom.cdf(counts, looks, 0.9) <= ALPHA).any(axis=1)
    assert alarmed.mean() > 4 * ALPHA


def test_a_lost_sensitivity_is_alarmed_about_as_soon_as_the_docs_say() -> None:
    """Of four alarms, which share ALPHA: docs/monitoring.md has 92 outcomes for half, and 190 for nine in ten."""
    waited = [
        next((n for n in range(20, LOOKS, 5) if evidence_below(hits(counts[n - 1], n), 0.95) >= 4 / ALPHA), LOOKS)
        for counts in streams(0.85, 2)[:100]
    ]
    assert 70 <= np.median(waited) <= 115
    assert np.quantile(waited, 0.9) <= 230


@pytest.mark.parametrize("shift", [-TOLERATED, 0.0, TOLERATED])
def test_calibration_within_the_tolerance_alarms_in_few_studies(shift: float) -> None:
    rng, alarmed = np.random.default_rng(3), []
    for _ in range(STUDIES):
        odds = rng.normal(-1, 2, size=300)
        having = rng.random(300) < 1 / (1 + np.exp(-odds - shift))
        p = 1 / (1 + np.exp(-odds))
        looks = (10, 30, 60, 100, 150, 200, 250, 300)
        alarmed.append(any(evidence_of_miscalibration(p[:n], having[:n]) >= 1 / ALPHA for n in looks))
    assert ever(np.array(alarmed)) <= ALPHA


def test_probabilities_that_are_far_off_are_found() -> None:
    rng = np.random.default_rng(4)
    odds = rng.normal(-1, 2, size=400)
    having = rng.random(400) < 1 / (1 + np.exp(-odds - 1.5))
    assert evidence_of_miscalibration(1 / (1 + np.exp(-odds)), having) > 1000


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0.01, 0.5))
def test_the_sequence_holds_the_share_that_was_seen(count: int, more: int, alpha: float) -> None:
    low, high = share_sequence(hits(count, count + more), alpha)
    assert 0 <= low <= high <= 1
    if count + more:
        assert low <= count / (count + more) <= high


@given(st.integers(0, 10**4), st.integers(0, 10**4), st.floats(0.001, 0.999))
def test_evidence_is_a_number(count: int, more: int, share: float) -> None:
    values = hits(count, count + more)
    for value in (evidence_below(values, share), evidence_above(values, share)):
        assert value >= 0
        assert math.isfinite(value)
    assert evidence_below(values[:0], share) == pytest.approx(1.0)


@pytest.mark.parametrize(("count", "total"), [(0, 5), (5, 5), (9, 10), (85, 100), (850, 1000), (18_000, 20_000)])
def test_of_hits_and_misses_it_is_the_mixture_of_all_likelihoods(count: int, total: int) -> None:
    """Whose formula is known: some hundred bets stand for all (Robbins 1970)."""
    from scipy.special import betainc, betaln

    a, b, share = count + 1, total - count + 1, 0.88
    log_likelihood = count * math.log(share) + (total - count) * math.log1p(-share)
    expected = betaln(a, b) + math.log(betainc(a, b, share)) - math.log(share) - log_likelihood
    assert math.log(evidence_below(hits(count, total), share)) == pytest.approx(expected, abs=0.01)
    for end in share_sequence(hits(count, total)):
        if 0 < end < 1:
            at_end = count * math.log(end) + (total - count) * math.log1p(-end)
            assert betaln(a, b) - at_end == pytest.approx(math.log(1 / ALPHA), abs=0.05)


def test_means_of_patients_with_several_images_tell_more_than_one_image_each() -> None:
    rng = np.random.default_rng(5)
    one = (rng.random(200) < 0.8).astype(float)
    several = rng.binomial(5, 0.8, 200) / 5
    widths = [high - low for low, high in (share_sequence(one), share_sequence(several))]
    assert widths[1] < 0.7 * widths[0]
    low, high = share_sequence(several)
    assert low < 0.8 < high
    assert evidence_below(several, 0.9) > 100 * evidence_below(one, 0.9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50))
def test_evidence_of_calibration_is_a_number(pairs: list[tuple[float, bool]]) -> None:
    p, having = np.array([p for p, _ in pairs]), np.array([h for _, h in pairs], dtype=bool)
    value = evidence_of_miscalibration(p, having)
    assert value >= 0
    assert math.isfinite(value)


def test_what_can_not_be_is_refused() -> None:
    for value in (1.5, -0.1, math.nan):
        with pytest.raises(DataError, match="a value is not between 0 and 1"):
            share_sequence(np.array([0.5, value]))
    with pytest.raises(DataError, match="a share of 1"):
        evidence_below(np.ones(2), 1.0)
    with pytest.raises(DataError, match=r"both must be \(n,\)"):
        evidence_of_miscalibration(np.zeros(3), np.zeros(2, dtype=bool))
