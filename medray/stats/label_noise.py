"""Label noise: which labels are wrong, as a mixture of calibrated out-of-fold probabilities and a share of flips.

A label is taken to be the image's class, or with probability `rate` any of the others, all alike. Then the chance
that a label is wrong follows from the image's probabilities by Bayes' theorem (class-conditional noise, Natarajan
et al. 2013). Two numbers are estimated:

- `rate`, from the images that the model is surest of: where it all but knows, a label that disagrees is wrong. A
  model that is sure and wrong at times looks the same, so it is not the best guess but a lower limit.
- the temperature of the probabilities, by maximum likelihood of the labels with that rate of flips (Guo et al.
  2017, section 4.2), so that an over-confident model does not accuse.
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array

SUREST, FEWEST = 10, 20  # at least a tenth of all images, and so many, are looked at for the rate
TAIL = 0.05  # the rate is above its lower limit but for this chance
SMALLEST = 1e-7  # probability, so that its logarithm is finite
RATES = np.concatenate([[0.0], np.geomspace(0.0005, 0.3, 20)]).tolist()  # of flips, of one label
EXCLUDED = 2.706  # the difference of twice the log-likelihood, chi-squared with one degree of freedom
FLIPPED = 0.05  # labels that `planted_hits` flips


@dataclass(frozen=True, eq=False)
class LabelNoise:
    """A fitted label noise: `rate`, and the probabilities (n, classes) at the fitted temperature."""

    rate: float
    probabilities: Array

    def wrong(self, labels: Array) -> Array:
        """Return the estimated chance that each of `labels` int64 (n,) is wrong, float64 (n,)."""
        given = self.probabilities[np.arange(len(labels)), labels]
        flipped = self.rate * (1 - given) / (self.probabilities.shape[1] - 1)
        total = flipped + (1 - self.rate) * given
        chances: Array = np.divide(flipped, total, out=np.zeros_like(total), where=total > 0)
        return chances


def fit_label_noise(probabilities: Array, labels: Array) -> LabelNoise:
    """Return the label noise of checked out-of-fold probabilities (n, classes) and labels int64 (n,).

    The images' order matters to the last digits only.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import softmax

    rate = flip_rate(probabilities, labels)
    logarithms = np.log(np.clip(probabilities, SMALLEST, 1.0))
    rows, others = np.arange(len(labels)), probabilities.shape[1] - 1

    def loss(sharpness: float) -> float:
        given = softmax(np.exp(sharpness) * logarithms, axis=1)[rows, labels]
        return -float(np.log((1 - rate) * given + rate * (1 - given) / others + SMALLEST**2).mean())

    best = minimize_scalar(loss, bounds=(-4.0, 3.0), method="bounded")
    return LabelNoise(rate, softmax(np.exp(best.x) * logarithms, axis=1))


def fit_one_label(scores: Array, having: Array) -> LabelNoise:
    """Return the label noise of one of several labels an image: out-of-fold `scores` (n,), `having` bool (n,).

    The surest images tell no rate here: a model that knows nothing is sure that a rare label is not there, and
    disagrees with every image that has it. So the rate is the lowest that the likelihood does not exclude
    (Wilks 1938, one-sided at 95 %), each with the sharpness and the shift of the log-odds that suit it best.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    kept = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    odds, sign = np.log(kept) - np.log1p(-kept), np.where(having, 1.0, -1.0)

    def loss(values: Array, rate: float) -> tuple[float, Array]:
        given = expit(sign * (np.exp(values[0]) * odds + values[1]))
        total = (1 - rate) * given + rate * (1 - given)
        slope = -(1 - 2 * rate) * given * (1 - given) * sign / total
        by_sharpness = float((slope * odds).sum() * np.exp(values[0]))
        return -float(np.log(total).sum()), np.array([by_sharpness, slope.sum()])

    start, fits = np.zeros(2), []
    for rate in RATES:
        fit = minimize(loss, start, args=(rate,), jac=True, method="L-BFGS-B", bounds=[(-6.0, 3.0), (-20.0, 20.0)])
        start = fit.x
        fits.append((fit.fun, rate, fit.x))
    best = min(fun for fun, _, _ in fits)
    rate, (sharpness, shift) = next((rate, x) for fun, rate, x in fits if fun - best <= EXCLUDED / 2)
    chance = expit(np.exp(sharpness) * odds + shift)
    return LabelNoise(rate, np.column_stack([1 - chance, chance]))


def flip_rate(probabilities: Array, labels: Array) -> float:
    """Return the lower limit of the share of wrong labels, from the images that the model is surest of.

    Of all sets of surest images, from a tenth of them (and `FEWEST`) up to all, that with the smallest share of
    labels other than the likeliest class; of that share the exact lower limit (Clopper & Pearson 1934).
    """
    from scipy.special import betaincinv

    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    disagree = np.cumsum((probabilities.argmax(axis=1) != labels)[order])
    ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)  # equally sure ones together
    ends = ends[ends + 1 >= min(len(order), max(FEWEST, len(order) // SUREST))]
    end = ends[np.argmin(disagree[ends] / (ends + 1))]
    count, total = int(disagree[end]), int(end) + 1
    return float(betaincinv(count, total - count + 1, TAIL)) if count else 0.0


def planted_hits(noise: LabelNoise, labels: Array, first: int, draws: int = 100, seed: int = 0) -> float:
    """Return how many of the `first` labels in doubt are wrong ones where a share `FLIPPED` of labels is flipped.

    The flips are planted in `labels` int64 (n,) at random, the mean over draws; the images' probabilities stay as
    they are. Labels that are wrong already count as right, so with many of them it is too low.
    """
    rng = np.random.default_rng(seed)
    images, classes = noise.probabilities.shape
    count = max(1, round(FLIPPED * images))
    hits = 0
    for _ in range(draws):
        flips = rng.choice(images, size=count, replace=False)
        planted = labels.copy()
        planted[flips] = (labels[flips] + rng.integers(1, classes, size=count)) % classes
        head = np.argsort(noise.probabilities[np.arange(images), planted], kind="stable")[:first]
        hits += int((planted[head] != labels[head]).sum())
    return hits / draws
