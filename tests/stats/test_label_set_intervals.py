"""Intervals of the scores of several labels an image: they hold the truth, and come from true derivatives."""

import numpy as np
import pytest

from medray.errors import ConfigError
from medray.stats.compare import compare_models
from medray.stats.label_set_intervals import label_set_influence, label_set_interval
from medray.stats.label_set_predictions import LabelSetPredictions
from medray.stats.score_names import LABEL_SETS
from tests.label_set_samples import LabelSetWorld

WITH_INTERVAL = [name for name in (*LABEL_SETS, "brier") if name != "calibration_error"]
WORLD = LabelSetWorld(60, 3, (0.2, 0.3, 0.5), unknown=0.1)


@pytest.mark.parametrize("name", WITH_INTERVAL)
def test_influences_are_derivatives(name: str) -> None:
    predictions, groups = WORLD.draw(np.random.default_rng(4))
    influence = label_set_influence(name, predictions, groups)
    assert not isinstance(influence, str)
    step, slopes = 1e-5, []
    for patient in np.unique(groups):
        counts = np.ones(len(groups))
        counts[groups == patient] += step
        above = predictions.scores(counts)[name]
        counts[groups == patient] -= 2 * step
        slopes.append((above - predictions.scores(counts)[name]) / (2 * step))
    assert influence.value == pytest.approx(predictions.scores()[name])
    expected = np.array(slopes)[np.argsort(np.unique(groups).astype(str))]  # as patients are numbered
    ratio = np.linalg.norm(influence.by_patient) / np.linalg.norm(expected)
    assert 1 <= ratio < 1.06  # the small-sample factor
    assert influence.by_patient == pytest.approx(expected * ratio, abs=0.03 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("world", "least"),
    [
        (LabelSetWorld(300, 1, (0.05, 0.1, 0.2, 0.5)), 0.9),
        (LabelSetWorld(120, 5, (0.08, 0.15, 0.3, 0.5), separation=1.2, shared=0.4), 0.88),
        (LabelSetWorld(200, 1, (0.1,) * 6, separation=2.5), 0.9),
    ],
)
def test_intervals_hold_the_truth(world: LabelSetWorld, least: float) -> None:
    truth = world.draw(np.random.default_rng(99), 30_000)[0].scores()
    rng, names = np.random.default_rng(1), WITH_INTERVAL
    held: dict[str, list[bool]] = {name: [] for name in names}
    for _ in range(60):
        predictions, groups = world.draw(rng)
        for name in names:
            estimate = label_set_interval(name, predictions, groups)
            if estimate.low is not None and estimate.high is not None:
                held[name].append(estimate.low <= truth[name] <= estimate.high)
    for name, hits in held.items():
        assert len(hits) > 40, name
        assert np.mean(hits) >= least - 0.06, name  # three standard errors of 60 draws
    assert np.mean([hit for hits in held.values() for hit in hits]) >= least


def test_labels_that_go_together_widen_the_interval_of_their_mean() -> None:
    """Were labels taken as independent, six copies of one label would have an interval 2.4 times too short."""
    one, groups = LabelSetWorld(150, 1, (0.3,)).draw(np.random.default_rng(2))
    copies = LabelSetPredictions(np.repeat(one.probabilities, 6, axis=1), np.repeat(one.labels, 6, axis=1), 6)
    single, six = label_set_interval("auc", one, groups), label_set_interval("auc", copies, groups)
    assert six.value == pytest.approx(single.value)
    assert single.low is not None
    assert six.low == pytest.approx(single.low, abs=0.01)


def test_a_label_of_few_images_takes_the_interval_and_says_so() -> None:
    predictions, groups = LabelSetWorld(100, 1, (0.5, 0.3)).draw(np.random.default_rng(3))
    labels = predictions.labels.copy()
    labels[np.flatnonzero(labels[:, 1] == 1)[4:], 1] = 0
    rare = LabelSetPredictions(predictions.probabilities, labels, 2)
    for name in ("auc", "average_precision"):
        estimate = label_set_interval(name, rare)
        assert (estimate.low, estimate.reason) == (None, "4 images with or without a label: too few")
        assert label_set_interval(name, rare, groups).reason == "4 patients with or without a label: too few"
    assert label_set_interval("auc_micro", rare).low is not None
    assert label_set_interval("calibration_error", rare).low is None


def test_two_models_are_compared_on_the_same_answers() -> None:
    rng = np.random.default_rng(5)
    good, groups = LabelSetWorld(250, 2, (0.3, 0.2, 0.4), separation=2.0).draw(rng)
    poor = LabelSetPredictions(rng.permutation(good.probabilities), good.labels, 3)
    result = compare_models("good", "poor", "auc", {"good": good, "poor": poor}, None, groups)
    assert result.low is not None
    assert result.p is not None
    assert (result.low > 0.2, result.p < 1e-6) == (True, True)
    same = compare_models("good", "other", "exact_match", {"good": good, "other": good}, None, groups)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    with pytest.raises(ConfigError, match="valid"):
        label_set_influence("accuracy", good)
