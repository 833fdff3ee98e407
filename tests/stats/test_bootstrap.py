"""The bootstrap: what a resample is, and whether its intervals hold what they should."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.bootstrap import (
    bootstrap,
    group_numbers,
    percentile_interval,
    resample_counts,
)
from medray.stats.score_names import OF_CLASSES
from medray.stats.scores import Predictions

SEEDS = st.integers(0, 2**32 - 1)


def some_model(seed: int, images: int = 40, classes: int = 3) -> Predictions:
    """A model that is right about every second time; its labels are the same for every seed."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    scores = rng.random((images, classes)) + np.eye(classes)[labels] * rng.random((images, 1))
    return Predictions((scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels, classes)


# -- resamples


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 60), st.integers(1, 5), SEEDS)
def test_a_resample_has_as_many_images(images: int, resamples: int, seed: int) -> None:
    drawn = list(resample_counts(images, resamples, seed))
    assert len(drawn) == resamples
    for counts in drawn:
        assert counts.shape == (images,)
        assert counts.dtype.kind == "i"
        assert counts.min() >= 0
        assert counts.sum() == images


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=60), st.booleans(), SEEDS)
def test_whole_patients_are_drawn_as_many_as_there_are(patients: list[int], as_text: bool, seed: int) -> None:
    groups = np.array([f"patient {p}" for p in patients] if as_text else patients)
    patients_there = set(groups.tolist())
    if len(patients_there) < 2:
        with pytest.raises(DataError, match="1 patient to draw from: a bootstrap needs at least two"):
            resample_counts(len(groups), 3, seed, groups)
        return
    for counts in resample_counts(len(groups), 3, seed, groups):
        each = [set(counts[groups == patient].tolist()) for patient in patients_there]
        assert all(len(result) == 1 for result in each)
        assert sum(result.pop() for result in each) == len(patients_there)


def test_a_seed_gives_the_same_resamples_again_and_another_gives_others() -> None:
    first, again, other = (np.array(list(resample_counts(30, 4, seed))) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()
    assert len(np.unique(first, axis=0)) == 4


def test_more_resamples_begin_with_the_fewer() -> None:
    assert (np.array(list(resample_counts(30, 9, 1)))[:4] == np.array(list(resample_counts(30, 4, 1)))).all()


def test_patients_of_one_image_each_are_drawn_as_images_are() -> None:
    by_image, by_patient = resample_counts(20, 3, 0), resample_counts(20, 3, 0, np.arange(20)[::-1] + 10)
    for one, two in zip(by_image, by_patient, strict=True):
        assert (one[::-1] == two).all()


def test_resamples_come_one_at_a_time() -> None:
    drawn = resample_counts(10**6, 10**6, 0)  # 8 terabytes if they were held
    assert iter(drawn) is drawn
    assert next(drawn).sum() == 10**6


def test_every_image_is_drawn_equally_often() -> None:
    """The count of one image is binomial: mean 1 and variance 1 - 1/N."""
    drawn = np.array(list(resample_counts(20, 10_000, 3)))
    assert np.abs(drawn.mean(axis=0) - 1).max() < 0.06  # six standard errors
    assert np.abs(drawn.var(axis=0) - 0.95).max() < 0.12


@pytest.mark.parametrize(
    ("images", "resamples", "seed", "groups", "error", "words"),
    [
        (0, 1, 0, None, DataError, "0 image to draw from"),
        (1, 1, 0, None, DataError, "1 image to draw from: a bootstrap needs at least two"),
        (3, 0, 0, None, ConfigError, "0 resamples; at least 1"),
        (3, 1, -1, None, ConfigError, "seed -1 is not"),
        (3, 1, 0, np.array([1, 2]), DataError, r"groups are \(2,\), not \(3,\)"),
        (3, 1, 0, np.array([1.0, 2.0, np.nan]), DataError, "1 of 3 images have no patient"),
        (3, 1, 0, np.array(["a", None, ""], dtype=object), DataError, "2 of 3 images have no patient"),
    ],
)
def test_what_no_resample_can_be_drawn_from(
    images: int, resamples: int, seed: int, groups: Array | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):  # at once, and not when the first is drawn
        resample_counts(images, resamples, seed, groups)


def test_patients_are_numbered_from_0() -> None:
    result = group_numbers(np.array(["b", "a", "b", "c"]), 4)
    assert result.tolist() == [1, 0, 1, 2]
    assert result.dtype == np.int64
    assert len(set(group_numbers(np.array([7, "7", 8], dtype=object), 3).tolist())) == 2


# -- intervals


def test_interval_is_of_percentiles() -> None:
    assert percentile_interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert percentile_interval(np.arange(101.0), confidence=0.8) == pytest.approx((10, 90))
    assert percentile_interval(np.array([0.5])) == (0.5, 0.5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=40))
def test_interval_leaves_out_what_is_not_defined(values: list[float]) -> None:
    defined = [value for value in values if not math.isnan(value)]
    result = percentile_interval(np.array(values))
    if len(defined) < len(values) / 2:
        assert result is None
    else:
        assert result == percentile_interval(np.array(defined))
        assert result is not None
        assert min(defined) <= result[0] <= result[1] <= max(defined)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -0.1, math.nan])
def test_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ConfigError, match="it must lie between 0 and 1"):
        percentile_interval(np.ones(3), confidence)


@pytest.mark.parametrize("values", [np.ones(0), np.ones((2, 2))])
def test_no_interval_of_nothing(values: Array) -> None:
    with pytest.raises(DataError, match="not \\(resamples,\\)"):
        percentile_interval(values)


def held(sets: Iterator[tuple[Array, Array | None]], truth: float, seed: int) -> tuple[float, float]:
    """How often the interval of a mean holds the truth, and how wide it is on average."""
    inside, width = [], []
    for values, groups in sets:
        resamples = np.array(list(resample_counts(len(values), 200, seed, groups)))
        ends = percentile_interval(resamples @ values / resamples.sum(axis=1))
        assert ends is not None
        inside.append(ends[0] <= truth <= ends[1])
        width.append(ends[1] - ends[0])
        seed += 1
    return float(np.mean(inside)), float(np.mean(width))


def test_the_interval_of_an_accuracy_holds_it_19_times_in_20() -> None:
    rng = np.random.default_rng(1)
    coverage, width = held(((rng.random(120) < 0.8, None) for _ in range(200)), 0.8, 0)
    assert 0.90 <= coverage <= 0.98
    assert width == pytest.approx(2 * 1.96 * math.sqrt(0.8 * 0.2 / 120), rel=0.1)


def clustered(rng: np.random.Generator, patients: int = 60) -> tuple[Array, Array]:
    """Images that a patient's own luck decides: of 1 to 9 images a patient, nearly all are right or wrong."""
    groups = np.repeat(np.arange(patients), rng.integers(1, 10, size=patients))
    lucky = rng.random(patients) < 0.7
    return np.where(rng.random(len(groups)) < 0.1, rng.random(len(groups)) < 0.7, lucky[groups]), groups


def test_clustered_images_need_whole_patients() -> None:
    rng = np.random.default_rng(1)
    sets = [clustered(rng) for _ in range(200)]
    by_patient, wide = held(iter(sets), 0.7, 0)
    by_image, narrow = held(((values, None) for values, _ in sets[:60]), 0.7, 0)
    assert 0.88 <= by_patient <= 0.98
    assert by_image < 0.75
    assert wide > 1.5 * narrow


# -- every model on the same resamples


def test_bootstrap_scores_each_model_on_each_resample() -> None:
    models = {"a": some_model(1), "b": some_model(2)}
    counts = np.array(list(resample_counts(40, 6, 0)))
    result = bootstrap(models, resample_counts(40, 6, 0))
    assert list(result) == ["a", "b"]
    for name, model in models.items():
        assert list(result[name]) == list(OF_CLASSES)
        for row in range(6):
            assert {metric: values[row] for metric, values in result[name].items()} == model.scores(counts[row])
    from_array = bootstrap(models, counts)
    assert all((from_array[m][s] == result[m][s]).all() for m in models for s in OF_CLASSES)


def test_a_resample_without_a_class_has_no_auc() -> None:
    model = some_model(0, images=6)
    drawn = np.array(list(resample_counts(6, 60, 0)))
    lacks = np.array([len(set(model.labels[counts > 0].tolist())) < 3 for counts in drawn])
    result = bootstrap({"a": model}, drawn)["a"]
    assert 0 < lacks.sum() < 60
    assert (np.isnan(result["auc"]) == lacks).all()
    assert np.isfinite(result["accuracy"]).all()


def test_models_must_be_measured_on_the_same_images() -> None:
    model = some_model(0)
    other = Predictions(model.probabilities[::-1], model.labels[::-1], 3)
    for wrong in (other, some_model(0, images=41), some_model(0, classes=4)):
        with pytest.raises(DataError, match="'b' and 'a' are not measured on the same images"):
            bootstrap({"a": model, "b": wrong}, resample_counts(40, 2, 0))


def test_what_can_not_be_scored() -> None:
    model = some_model(0)
    with pytest.raises(DataError, match="no models"):
        bootstrap({}, resample_counts(40, 2, 0))
    with pytest.raises(DataError, match="no resamples"):
        bootstrap({"a": model}, iter(()))
    with pytest.raises(DataError, match=r"weights are \(39,\), not \(40,\)"):
        bootstrap({"a": model}, resample_counts(39, 2, 0))
