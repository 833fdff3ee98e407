"""Temperature scaling: the one number that makes probabilities mean what they say (Guo et al. 2017).

Probabilities are (N, classes), each row summing to 1; labels are int64 (N,). The temperature works on
averaged probabilities too: their logarithms serve as logits, so the networks' own are not needed.
"""

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.stats.metrics import log_loss
from medray.stats.validate import check_labelled, check_probabilities

LOWEST, HIGHEST = 0.05, 20.0  # between which a temperature is searched
EPSILON = float(np.finfo(np.float32).eps)


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
