"""The gap of a group's share to that of all others: covered 19 times in 20, and hardly ever shown where it is not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from medray._types import Array
from medray.errors import ConfigError, DataError, RunError
from medray.stats import share_gap as module
from medray.stats.compare import holm
from medray.stats.share_gap import ShareGap, exchange_p, share_gap


def of_counts(count: int, total: int, others: int, others_total: int) -> tuple[Array, Array]:
    """Hits and who is inside, of a group with `count` hits of `total` images, and of the others."""
    hits = np.repeat([True, False, True, False], [count, total - count, others, others_total - others])
    return hits, np.arange(total + others_total) < total


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((10, 10, 0, 20), 0.6791, 1.0)],
)  # Newcombe (1998), table II, cases (a), (b) and (g), method 10
def test_the_interval_is_newcombes(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    gap = share_gap(*of_counts(*counts))
    assert (gap.low, gap.high) == pytest.approx((low, high), abs=5e-5)
    assert gap.value == pytest.approx(counts[0] / counts[1] - counts[2] / counts[3])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), min_size=2, max_size=120), st.booleans()
)
def test_a_gap_lies_in_its_interval_and_is_the_others_gap_turned_round(
    images: list[tuple[int, bool, bool]], known: bool
) -> None:
    patients, hits, inside = (np.array(column) for column in zip(*images, strict=True))
    groups = patients if known else None
    gap, turned = share_gap(hits, inside, groups), share_gap(hits, ~inside, groups)
    assert ShareGap.from_dict(gap.to_dict()) == gap
    if gap.p is None or gap.low is None or gap.high is None or gap.value is None:
        assert turned.p is None
        assert gap.reason is not None
        return
    assert turned.p == pytest.approx(gap.p, abs=1e-9)
    assert (turned.low, turned.high) == pytest.approx((-gap.high, -gap.low), abs=1e-9)
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert gap.high - gap.low > 0.05
    assert 0 < gap.p <= 1
    assert gap.p > 0.05 or not gap.low < 0 < gap.high, "shown, although the interval holds 0"


def test_few_images_or_patients_on_either_side_have_no_interval_and_it_says_why() -> None:
    hits, inside = of_counts(7, 9, 30, 40)
    assert share_gap(hits, inside) == ShareGap(7 / 9 - 0.75, reason="9 images: too few")
    assert share_gap(hits, ~inside).reason == "others: 9 images: too few"
    assert share_gap(*of_counts(7, 10, 7, 10)).reason is None
    hits, inside = of_counts(70, 90, 30, 40)
    groups = np.where(inside, np.arange(130) % 9, np.arange(130))
    assert share_gap(hits, inside, groups).reason == "9 patients: too few"
    assert share_gap(hits, ~inside, groups).reason == "others: 9 patients: too few"
    assert share_gap(hits, np.zeros(130, dtype=bool)) == ShareGap(None, reason="no image")
    assert share_gap(hits, np.ones(130, dtype=bool)) == ShareGap(None, reason="no other image")


@pytest.mark.parametrize(
    ("total", "others", "share", "others_share"),
    [(10, 100, 0.95, 0.95), (10, 50, 0.8, 0.9), (20, 60, 0.9, 0.9), (30, 30, 0.7, 0.9), (15, 15, 0.5, 0.5)],
)
def test_the_interval_holds_the_gap_of_independent_images(
    total: int, others: int, share: float, others_share: float
) -> None:
    """Exactly: over all numbers of hits, by their chance."""
    covered = 0.0
    for count in range(total + 1):
        for others_count in range(others + 1):
            chance = binom.pmf(count, total, share) * binom.pmf(others_count, others, others_share)
            if chance > 1e-6:
                gap = share_gap(*of_counts(count, total, others_count, others))
                assert gap.low is not None
                assert gap.high is not None
                covered += chance * (gap.low <= share - others_share <= gap.high)
    assert 0.93 <= covered <= 0.98


def drawn(rng: np.random.Generator, patients: int, per: int, share: float, alike: float) -> tuple[Array, Array]:
    """Hits of patients with so many images each, whose correlation within a patient is `alike`, and the patients."""
    shares = rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), patients)
    groups = np.repeat(np.arange(patients), per)
    return rng.random(len(groups)) < shares[groups], groups


def both(
    rng: np.random.Generator, group: tuple[int, int, float], others: tuple[int, int, float], alike: float
) -> tuple[Array, Array, Array]:
    """Hits, who is inside and the patients, of a group and others of (patients, images of each, share)."""
    hits, groups = drawn(rng, *group, alike)
    other_hits, other_groups = drawn(rng, *others, alike)
    inside = np.arange(len(hits) + len(other_hits)) < len(hits)
    return np.concatenate([hits, other_hits]), inside, np.concatenate([groups, other_groups + group[0]])


@pytest.mark.parametrize(
    ("group", "others", "alike"),
    [
        ((20, 5, 0.8), (60, 5, 0.9), 0.5), ((40, 5, 0.95), (160, 5, 0.95), 0.5), ((20, 5, 0.5), (60, 5, 0.5), 0.8),
        ((30, 8, 0.9), (300, 1, 0.9), 0.5),
    ],
)  # fmt: skip
def test_the_interval_holds_the_gap_of_patients_with_several_images(
    monkeypatch: pytest.MonkeyPatch, group: tuple[int, int, float], others: tuple[int, int, float], alike: float
) -> None:
    monkeypatch.setattr(module, "EXCHANGES", 1)
    rng, draws, true = np.random.default_rng(0), 500, group[2] - others[2]
    too_high = too_low = by_image = 0
    for _ in range(draws):
        hits, inside, groups = both(rng, group, others, alike)
        gap, independent = share_gap(hits, inside, groups), share_gap(hits, inside)
        too_high += (gap.low or 0) > true
        too_low += (gap.high or 0) < true
        by_image += (independent.low or 0) <= true <= (independent.high or 0)
    assert 0.93 <= 1 - (too_high + too_low) / draws <= 0.985
    assert max(too_high, too_low) / draws <= 0.05
    assert by_image / draws < 0.9, "images that are taken for independent would do as well"


def test_patients_on_both_sides_make_the_interval_no_narrower_than_it_must_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EXCHANGES", 1)
    rng, draws, missed = np.random.default_rng(0), 300, 0
    for _ in range(draws):
        hits, groups = drawn(rng, 60, 6, 0.85, 0.5)
        gap = share_gap(hits, np.arange(len(hits)) % 2 == 0, groups)
        missed += not (gap.low or 0) <= 0 <= (gap.high or 0)
    assert missed / draws <= 0.05


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30), st.integers(0, 30))
def test_patients_of_one_image_each_are_exchanged_as_in_fishers_test(a: int, b: int, c: int, d: int) -> None:
    if not a + b or not c + d:
        return
    hits, inside = of_counts(a, a + b, c, c + d)
    p = fisher_exact(np.array([[a, b], [c, d]])).pvalue
    assert exchange_p(hits, inside) == exchange_p(hits, inside, np.arange(len(hits))) == pytest.approx(p)


def test_images_that_only_repeat_their_patient_count_as_one() -> None:
    hits, inside = of_counts(15, 30, 55, 60)
    repeated, groups = np.repeat(np.arange(90), 4), np.repeat(np.arange(90), 4)
    p = exchange_p(hits[repeated], inside[repeated], groups)
    assert p == pytest.approx(exchange_p(hits, inside), abs=3e-3)
    assert exchange_p(hits[repeated], inside[repeated]) < p / 5
    assert exchange_p(hits[repeated], inside[repeated], groups) == p, "the draws are not those of the seed"


@pytest.mark.parametrize(
    ("group", "others", "known"),
    [
        ((10, 1, 0.95), (100, 1, 0.95), False),
        ((20, 5, 0.9), (60, 5, 0.9), True),
        ((15, 8, 0.9), (200, 1, 0.9), True),
    ],
    ids=["few cases", "five images each", "many images of few patients"],
)
def test_sixteen_gaps_that_are_none_are_shown_in_one_study_of_twenty_at_most(
    monkeypatch: pytest.MonkeyPatch, group: tuple[int, int, float], others: tuple[int, int, float], known: bool
) -> None:
    monkeypatch.setattr(module, "EXCHANGES", 1_999)
    rng, studies, wrong, uncorrected = np.random.default_rng(0), 100, 0, 0
    for _ in range(studies):
        values = []
        for _ in range(16):
            hits, inside, groups = both(rng, group, others, 0.5)
            values.append(share_gap(hits, inside, groups if known else None).p)
        wrong += any(p is not None and p <= 0.05 for p in holm(values))
        uncorrected += any(p is not None and p <= 0.05 for p in values)
    assert wrong / studies <= 0.05
    assert uncorrected / studies > 0.1, "these gaps need no correction"


def test_a_gap_that_is_there_is_shown() -> None:
    gap = share_gap(*of_counts(60, 100, 280, 300))
    assert gap.p is not None
    assert gap.p < 1e-6
    assert gap.high is not None
    assert gap.high < -0.2


def test_what_is_no_gap() -> None:
    hits, inside = of_counts(15, 20, 30, 40)
    with pytest.raises(ConfigError, match="confidence is nan"):
        share_gap(hits, inside, confidence=math.nan)
    with pytest.raises(DataError, match="60 of 60 images have no patient"):
        exchange_p(hits, inside, np.full(60, ""))
    with pytest.raises(RunError, match="is no interval of the gap"):
        ShareGap.from_dict({**ShareGap(0.5, 0.1, 0.6, 0.01).to_dict(), "low": 0.55})
    with pytest.raises(RunError, match="lacks the reason"):
        ShareGap.from_dict(ShareGap(0.5).to_dict())
