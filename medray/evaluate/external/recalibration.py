"""What recalibrating on a small part of other images would give; nothing of it changes the ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.temperature import EPSILON, HIGHEST, LOWEST, apply_temperature, fit_temperature
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.calibration_slope import Recalibration, recalibrate
from medray.stats.score_intervals import score_interval
from medray.stats.scores import Predictions

PART, LEAST = 0.25, 50  # of the images to fit on; of images on either side
RIDGE = 0.01  # on intercepts: they stay finite where the part lacks a class
AS_IS, TEMPERATURE, INTERCEPTS = "as it is", "temperature", "temperature and intercepts"
SHOWN = ("log_loss", "brier", "calibration_error", "accuracy")


@dataclass(frozen=True)
class RecalibratedScores(JsonDocument):
    """The scores on the rest, by name, after p**(1/temperature) * exp(intercept of the class), renormalised.

    `calibration` is of each class against the rest, by its name.
    """

    name: str
    temperature: float
    intercepts: tuple[float, ...]
    scores: dict[str, Estimate]
    calibration: dict[str, Recalibration]


@dataclass(frozen=True)
class LocalRecalibration(JsonDocument):
    """Recalibrations that were fitted on `fitted` random images by `seed`, and measured on the `measured` rest.

    There are none where `reason` says why.
    """

    seed: int
    fitted: int
    measured: int
    methods: tuple[RecalibratedScores, ...]
    reason: str | None = None


def recalibrate_locally(
    probabilities: Array, labels: Array, class_names: Sequence[str], units: Array, groups: Array | None, seed: int
) -> LocalRecalibration:
    """Return what recalibration on a random part of the images would give on the rest.

    `units` (n,) are images that stay on one side: of one patient, or copies. About `PART` of the images are fitted
    on, at least `LEAST`. `probabilities` are (n, classes), `labels` int64 (n,), `groups` (n,) the patients.

    Raises:
        DataError: a patient is missing.
    """
    part = random_part(units, seed)
    fitted, rest = int(part.sum()), int((~part).sum())
    if min(fitted, rest) < LEAST:
        return LocalRecalibration(
            seed, 0, len(labels), (), f"{len(labels)} images: at least {2 * LEAST} are needed"
        )
    if len(np.unique(labels[part])) < 2 or len(np.unique(labels[~part])) < 2:
        return LocalRecalibration(seed, 0, len(labels), (), "one side has images of one class only")
    temperature = fit_temperature(probabilities[part], labels[part])
    with_bias = fit_intercepts(probabilities[part], labels[part])
    none = (0.0,) * len(class_names)
    changes = {AS_IS: (1.0, none), TEMPERATURE: (temperature, none), INTERCEPTS: with_bias}
    held = None if groups is None else groups[~part]
    methods = []
    for name, (scale, intercepts) in changes.items():
        changed = (
            probabilities[~part] if name == AS_IS else apply_intercepts(probabilities[~part], scale, intercepts)
        )
        predictions = Predictions(changed, labels[~part], len(class_names))
        scores = {metric: score_interval(metric, predictions, held) for metric in SHOWN}
        calibration = {
            of: recalibrate(changed[:, c], labels[~part] == c, held) for c, of in enumerate(class_names)
        }
        methods.append(RecalibratedScores(name, scale, intercepts, scores, calibration))
    return LocalRecalibration(seed, fitted, rest, tuple(methods))


def random_part(units: Array, seed: int) -> Array:
    """Return the images to fit on, bool (n,): all images of units (n,) that are drawn until they are enough."""
    needed = max(LEAST, round(PART * len(units)))
    _, number = np.unique(units, return_inverse=True)
    sizes = np.bincount(number)
    order = np.random.default_rng(seed).permutation(len(sizes))
    drawn = order[: int(np.searchsorted(sizes[order].cumsum(), needed)) + 1]
    part: Array = np.isin(number, drawn)
    return part


def fit_intercepts(probabilities: Array, labels: Array) -> tuple[float, tuple[float, ...]]:
    """Return the temperature and the intercept of each class with the least log loss; the intercepts sum to 0.

    Bias-corrected temperature scaling (Alexandari, Kundaje & Shrikumar 2020). The loss is convex in 1/T and the
    intercepts; a small ridge on these keeps them finite.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    logits = np.log(probabilities.astype(np.float64).clip(EPSILON, 1.0))
    rows, count = np.arange(len(labels)), len(labels)
    true = np.eye(logits.shape[1])[labels]

    def loss(values: Array) -> tuple[float, Array]:
        logs = log_softmax(values[0] * logits + values[1:], axis=1)
        errors = np.exp(logs) - true
        slopes = np.concatenate([[(errors * logits).sum()], errors.sum(axis=0) + RIDGE * values[1:]])
        total = -logs[rows, labels].sum() + RIDGE * np.square(values[1:]).sum() / 2
        return float(total / count), slopes / count

    start = np.concatenate([[1.0], np.zeros(logits.shape[1])])
    bounds = [(1 / HIGHEST, 1 / LOWEST)] + [(None, None)] * logits.shape[1]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}).x
    intercepts = best[1:] - best[1:].mean()
    return float(1 / best[0]), tuple(map(float, intercepts))


def apply_intercepts(probabilities: Array, temperature: float, intercepts: Sequence[float]) -> Array:
    """Return p**(1/temperature) * exp(intercept of the class) of each row, renormalised, float32 (n, classes)."""
    if not any(intercepts):
        return apply_temperature(probabilities, temperature)
    from scipy.special import softmax

    logits = np.log(probabilities.astype(np.float64).clip(EPSILON, 1.0)) / temperature + np.array(intercepts)
    changed: Array = softmax(logits, axis=1).astype(np.float32)
    return changed
