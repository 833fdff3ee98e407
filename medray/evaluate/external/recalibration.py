"""What recalibrating on a small part of other images would give; nothing of it changes the ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.temperature import EPSILON, HIGHEST, LOWEST, apply_temperatures, fit_temperatures
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.calibration_slope import Recalibration, recalibrate
from medray.stats.events import Event
from medray.stats.label_set_predictions import predictions_of
from medray.stats.label_sets import binary_table, has_both
from medray.stats.score_intervals import score_interval

PART, LEAST = 0.25, 50  # of the images to fit on; of images on either side
RIDGE = 0.01  # on intercepts: they stay finite where the part lacks a class
AS_IS, TEMPERATURE, INTERCEPTS = "as it is", "temperature", "temperature and intercepts"
_PROPER = ("log_loss", "brier", "calibration_error")
SHOWN = ((*_PROPER, "accuracy"), (*_PROPER, "exact_match"))  # of classes, and of several labels


@dataclass(frozen=True)
class RecalibratedScores(JsonDocument):
    """The scores on the rest, by name, after p**(1/temperature) * exp(intercept of the class), renormalised.

    Of several labels an image each has a temperature of its own, and an intercept that is added to its log-odds.
    `calibration` is of each class against the rest, by its name.
    """

    name: str
    temperatures: tuple[float, ...]
    intercepts: tuple[float, ...]
    scores: dict[str, Estimate]
    calibration: dict[str, Recalibration]


@dataclass(frozen=True)
class LocalRecalibration(JsonDocument):
    """Recalibrations that were fitted on `fitted` random images, or cases, and measured on the `measured` rest.

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
    on, at least `LEAST`. `probabilities` are (n, classes), `labels` int64 (n,), or (n, classes) where images may
    have several, `groups` (n,) the patients.

    Raises:
        DataError: a patient is missing.
    """
    part = random_part(units, seed)
    fitted, rest = int(part.sum()), int((~part).sum())
    if min(fitted, rest) < LEAST:
        return LocalRecalibration(
            seed, 0, len(labels), (), f"{len(labels)} images: at least {2 * LEAST} are needed"
        )
    sides = (labels[part], labels[~part])
    if labels.ndim == 1 and min(len(np.unique(side)) for side in sides) < 2:
        return LocalRecalibration(seed, 0, len(labels), (), "one side has images of one class only")
    if labels.ndim == 2 and not any(
        has_both(a) and has_both(b) for a, b in zip(sides[0].T, sides[1].T, strict=True)
    ):
        reason = "no label has images with it and images without it on both sides"
        return LocalRecalibration(seed, 0, len(labels), (), reason)
    fit, apply = (
        (fit_intercepts, apply_intercepts) if labels.ndim == 1 else (fit_label_intercepts, apply_label_intercepts)
    )
    temperatures, none = fit_temperatures(probabilities[part], labels[part]), (0.0,) * len(class_names)
    changes = {
        AS_IS: ((1.0,) * len(temperatures), none),
        TEMPERATURE: (temperatures, none),
        INTERCEPTS: fit(probabilities[part], labels[part]),
    }
    held = None if groups is None else groups[~part]
    methods = []
    for name, (scales, intercepts) in changes.items():
        changed = probabilities[~part] if name == AS_IS else apply(probabilities[~part], scales, intercepts)
        predictions = predictions_of(changed, labels[~part], len(class_names))
        scores = {metric: score_interval(metric, predictions, held) for metric in SHOWN[labels.ndim == 2]}
        events = [Event.at(index, class_names) for index in range(len(class_names))]
        calibration = {
            event.name: recalibrate(*event.answers(changed, labels[~part], held))
            for event in events
            if event.known(labels[~part]).any()
        }
        methods.append(RecalibratedScores(name, scales, intercepts, scores, calibration))
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


def fit_intercepts(probabilities: Array, labels: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
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
    return (float(1 / best[0]),), tuple(map(float, intercepts))


def fit_label_intercepts(probabilities: Array, labels: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the temperature and the intercept of each of several labels, as `fit_intercepts` of yes and no.

    `labels` are int64 (n, classes). A label that no image has, or every one, keeps its probabilities: 1 and 0.
    """
    temperatures, intercepts = [], []
    for scores, marks in zip(probabilities.T, labels.T, strict=True):
        (temperature,), (without, having) = (1.0,), (0.0, 0.0)
        if has_both(marks):
            (temperature,), (without, having) = fit_intercepts(binary_table(scores[marks >= 0]), marks[marks >= 0])
        temperatures.append(temperature)
        intercepts.append(having - without)
    return tuple(temperatures), tuple(intercepts)


def apply_label_intercepts(
    probabilities: Array, temperatures: Sequence[float], intercepts: Sequence[float]
) -> Array:
    """Return the probabilities (n, classes) after log-odds / temperature + intercept of each label, float32."""
    from scipy.special import expit, logit

    scaled = apply_temperatures(probabilities, temperatures)
    shifted = np.array(intercepts) != 0
    odds = logit(scaled[:, shifted].astype(np.float64)) + np.array(intercepts)[shifted]
    scaled[:, shifted] = expit(odds)
    return scaled


def apply_intercepts(probabilities: Array, temperatures: Sequence[float], intercepts: Sequence[float]) -> Array:
    """Return p**(1/temperature) * exp(intercept of the class) of each row, renormalised, float32 (n, classes)."""
    if not any(intercepts):
        return apply_temperatures(probabilities, temperatures)
    from scipy.special import softmax

    logits = np.log(probabilities.astype(np.float64).clip(EPSILON, 1.0)) / temperatures[0] + np.array(intercepts)
    changed: Array = softmax(logits, axis=1).astype(np.float32)
    return changed
