"""Every score that is printed with an interval is in it 19 times in 20, of mediocre and of good models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.errors import ConfigError
from medray.stats.score_intervals import score_interval
from medray.stats.score_names import OF_CLASSES
from medray.stats.scores import Predictions

SCORES = (
    "f1_macro", "precision_macro", "balanced_accuracy", "brier", "log_loss", "quadratic_kappa", "within_one",
    "grade_error",
)  # fmt: skip


def drawn(
    rng: np.random.Generator, classes: int, patients: int, gap: float, each: int = 1
) -> tuple[Predictions, Array]:
    """A calibrated model whose classes lie `gap` apart, on `each` images of every patient."""
    groups = np.repeat(np.arange(patients), each)
    labels = (np.arange(patients) % classes)[groups]
    shared, own = rng.normal(size=(patients, classes))[groups], rng.normal(size=(len(groups), classes))
    noise = own if each == 1 else np.sqrt(0.5) * (shared + own)
    scores = np.exp(gap * (noise + gap * np.eye(classes)[labels]))
    return Predictions(scores / scores.sum(axis=1, keepdims=True), labels, classes), groups


@pytest.mark.parametrize(
    ("classes", "patients", "gap", "each"), [(2, 60, 2.0, 1), (2, 100, 3.0, 1), (4, 100, 1.0, 1), (4, 100, 2.0, 4)]
)
def test_the_interval_holds_the_score_19_times_in_20(classes: int, patients: int, gap: float, each: int) -> None:
    rng, draws = np.random.default_rng(0), 300
    truth = drawn(rng, classes, 100_000, gap)[0].scores()
    too_high, too_low = dict.fromkeys(SCORES, 0), dict.fromkeys(SCORES, 0)
    for _ in range(draws):
        model, groups = drawn(rng, classes, patients, gap, each)
        for name in SCORES:
            result = score_interval(name, model, groups if each > 1 else None)
            assert result.low is not None
            assert result.high is not None
            too_high[name] += result.low > truth[name]
            too_low[name] += result.high < truth[name]
    for name in SCORES:
        most = (
            1.0 if name in ("log_loss", "within_one") else 0.985
        )  # of a good model, a log loss hangs on errors not seen
        assert 0.925 <= 1 - (too_high[name] + too_low[name]) / draws <= most, name
        assert max(too_high[name], too_low[name]) / draws <= 0.055, name


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 4), st.integers(10, 30), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 8.0]))
def test_any_score_lies_in_its_interval_which_is_never_empty(
    classes: int, images: int, seed: int, gap: float
) -> None:
    model, _ = drawn(np.random.default_rng(seed), classes, classes * images, gap)
    for name, value in model.scores().items():
        result = score_interval(name, model)
        assert result.value == pytest.approx(value, abs=1e-12)
        if name == "calibration_error":
            assert (result.low, result.high) == (None, None)
            assert result.reason
            continue
        assert result.low is not None
        assert result.high is not None
        least = -1 if name == "quadratic_kappa" else 0
        assert least <= result.low <= value <= result.high
        assert result.high - result.low > 0.01


def test_few_cases_have_no_interval_of_what_is_a_mean_over_classes() -> None:
    model, _ = drawn(np.random.default_rng(0), 3, 27, 2.0)
    results = {name: score_interval(name, model) for name in OF_CLASSES}
    assert [name for name, result in results.items() if result.low is not None] == [
        "accuracy",
        "log_loss",
        "within_one",
        "grade_error",
        "brier",
    ]
    assert results["f1_macro"].reason == results["auc"].reason == "9 images of a class: too few"
    assert score_interval("accuracy", model, np.arange(27) % 9).reason == "9 patients: too few"
    assert score_interval("brier", model, np.arange(27) % 9).reason == "9 patients: too few"
    with pytest.raises(ConfigError, match="unknown score 'speed'"):
        score_interval("speed", model)
    with pytest.raises(ConfigError, match="confidence is 95"):
        score_interval("brier", model, confidence=95)
