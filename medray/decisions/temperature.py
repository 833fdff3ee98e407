"""Temperature scaling: the one number that makes probabilities mean what they say (Guo et al. 2017).

Probabilities are (N, classes), each row summing to 1; labels are int64 (N,). The temperature works on
averaged probabilities too: their logarithms serve as logits, so the networks' own are not needed. Where images may
have several labels, each label is a question of its own with a temperature of its own.
"""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.stats.label_sets import binary_table, told
from medray.stats.metrics import log_loss
from medray.stats.validate import check_label_range, check_labelled, check_probabilities

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
    temperatures = []
    for scores, marks in zip(probabilities.T, labels.T, strict=True):
        known = marks >= 0
        table = binary_table(scores[known])
        temperatures.append(fit_temperature(table, marks[known]) if told(marks) else 1.0)
    return tuple(temperatures)


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
    columns = zip(check_label_range(probabilities).T, temperatures, strict=True)
    return np.column_stack([apply_temperature(binary_table(scores), t)[:, 1] for scores, t in columns])


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
    from scipy.optimize import minimize_scalar

    exact, labels = check_labelled(probabilities, labels)
    logits = np.log(exact.clip(EPSILON, 1.0))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(_log_softmax(logits / np.exp(log_temperature))[rows, labels].mean())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    temperature = float(np.exp(best.x))
    better = log_loss(apply_temperature(exact, temperature), labels) < log_loss(exact, labels)
    return temperature if better else 1.0


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
