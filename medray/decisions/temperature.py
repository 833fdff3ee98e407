"""Temperature scaling: the one number that makes probabilities mean what they say (Guo et al. 2017).

Probabilities are (N, classes), each row summing to 1; labels are int64 (N,). The temperature works on
averaged probabilities too: their logarithms serve as logits, so the networks' own are not needed. Where images may
have several labels, each label is a question of its own with a temperature of its own.
"""

from collections.abc import Callable, Sequence

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.stats.label_sets import has_both
from medray.stats.metrics import log_loss
from medray.stats.validate import check_label_range, check_label_sets, check_labelled, check_probabilities

LOWEST, HIGHEST = 0.05, 20.0  # between which a temperature is searched
EPSILON = float(np.finfo(np.float32).eps)


def fit_temperatures(probabilities: Array, labels: Array) -> tuple[float, ...]:
    """Return the one temperature of classes, or of labels (N, K) one for each, as `fit_temperature` finds them.

    A label that no image has, or every image, keeps its probabilities: 1.

    Raises:
        DataError: the probabilities or labels can't be used.
    """
    if labels.ndim == 1:
        return (fit_temperature(probabilities, labels),)
    exact, labels = check_label_sets(probabilities, labels)
    columns = zip(exact.T, labels.T, strict=True)
    return tuple(_fit_label(p[marks >= 0], marks[marks >= 0]) if has_both(marks) else 1.0 for p, marks in columns)


def _fit_label(scores: Array, having: Array) -> float:
    """Return the temperature of a label's `scores` (n,) for images `having` it, 1, or not, 0."""
    odds, sign = _log_odds(scores), 2 * having - 1

    def loss(log_temperature: float) -> float:
        nats = np.logaddexp(0, -sign * odds / np.exp(log_temperature))
        return float(np.minimum(nats, -np.log(EPSILON)).mean())  # as in the log loss: no wrong label weighs more

    temperature = _best(loss)
    return temperature if loss(float(np.log(temperature))) < loss(0.0) else 1.0


def _log_odds(scores: Array) -> Array:
    """Return log(p / (1 - p)), finite at 0 and at 1, where a float32 has fewer digits than near 0."""
    kept = scores.clip(np.finfo(np.float32).tiny, 1 - EPSILON)
    odds: Array = np.log(kept) - np.log1p(-kept)
    return odds


def apply_temperatures(probabilities: Array, temperatures: Sequence[float]) -> Array:
    """Return the probabilities after one temperature for all classes, or one for each of several labels; float32.

    Raises:
        DataError: the probabilities can't be used.
        ConfigError: a temperature is not a number above 0.
    """
    if all(temperature == 1 for temperature in temperatures):
        return probabilities.astype(np.float32)
    if len(temperatures) == 1:
        return apply_temperature(probabilities, temperatures[0])
    if len(temperatures) != probabilities.shape[1]:
        raise ConfigError(f"{len(temperatures)} temperatures for {probabilities.shape[1]} labels")
    odds = _log_odds(check_label_range(probabilities)) / np.array(temperatures)
    scaled: Array = np.exp(-np.logaddexp(0, -odds)).astype(np.float32)
    return scaled


def temperature_text(temperatures: Sequence[float]) -> str:
    """Return temperatures as people read them: "temperature 1.234", or the range of those of the labels."""
    if len(temperatures) == 1:
        return f"temperature {temperatures[0]:.3f}"
    return f"a temperature for each label, {min(temperatures):.3f} to {max(temperatures):.3f}"


def fit_temperature(probabilities: Array, labels: Array) -> float:
    """Find the temperature T in 0.05..20 whose p**(1/T), renormalised, has the least log loss (Guo et al. 2017).

    Above 1 it takes confidence away, below 1 it adds some. The loss is convex in 1/T, so it has one valley
    over log T too, where it is searched. Where no T is better than none, by `metrics.log_loss` of what
    `apply_temperature` returns, the answer is exactly 1.

    Raises:
        DataError: the probabilities or labels can't be used.
    """
    exact, labels = check_labelled(probabilities, labels)
    logits = np.log(exact.clip(EPSILON, 1.0))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(_log_softmax(logits / np.exp(log_temperature))[rows, labels].mean())

    temperature = _best(loss)
    better = log_loss(apply_temperature(exact, temperature), labels) < log_loss(exact, labels)
    return temperature if better else 1.0


def _best(loss: Callable[[float], float]) -> float:
    """Return the temperature of the least loss by its logarithm."""
    from scipy.optimize import minimize_scalar

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7}).x))


def apply_temperature(probabilities: Array, temperature: float) -> Array:
    """Return p**(1/temperature) of each row, renormalised, as float32 (N, classes) (Guo et al. 2017).

    No class overtakes another, and the likeliest class stays ahead; others may become equal by rounding.
    A probability below float32's epsilon counts as that, as it does in the log loss.

    Raises:
        DataError: the probabilities can't be used.
        ConfigError: the temperature is not a number above 0.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise ConfigError(f"temperature is {temperature}; it must be a number above 0")
    exact = check_probabilities(probabilities)
    scaled: Array = np.exp(_log_softmax(np.log(exact.clip(EPSILON, 1.0)) / temperature)).astype(np.float32)
    likeliest = exact.argmax(axis=1)
    tied = np.flatnonzero(scaled.argmax(axis=1) != likeliest)  # rounding hid the lead of a later class
    scaled[tied, likeliest[tied]] = np.nextafter(scaled[tied].max(axis=1), np.float32(2))
    return scaled


def _log_softmax(logits: Array) -> Array:
    """Logarithms of each row's softmax."""
    shifted: Array = logits - logits.max(axis=1, keepdims=True)
    lowered: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return lowered
