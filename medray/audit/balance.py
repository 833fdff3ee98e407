"""Balance: compare a split, or what a fold holds out, with the rest.

A part is reported as different where the difference matters and is unlikely to be chance. It matters where
Cramér's V of the classes is 0.1 or more, or the means differ by 0.2 standard deviations or more; both are what
Cohen (1988, "Statistical Power Analysis for the Behavioral Sciences", chapters 2 and 7) calls a small effect.
Chance is unlikely where the p-value, of Pearson's chi-square test or of Welch's test, is below 0.01 divided by the
number of comparisons (Bonferroni).

Images of one patient resemble one another and are not independent draws. Where patients are known, the tests count
patients instead of images, which is the largest possible design effect (Kish 1965, "Survey Sampling", section 5.4,
with an intraclass correlation of 1).
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array

SMALL_V, SMALL_DIFFERENCE = 0.1, 0.2
SIGNIFICANT = 0.01


@dataclass(frozen=True)
class Difference:
    """How much a part differs from the rest; `effect` is Cramér's V or a standardised difference."""

    effect: float
    p_value: float

    def stands_out(self, least: float, comparisons: int) -> bool:
        """Return whether the effect is at least `least`, and unlikely to be chance in so many `comparisons`."""
        return abs(self.effect) >= least and self.p_value < SIGNIFICANT / comparisons


def compare_classes(labels: Array, part: Array, independent: float = 1.0) -> Difference | None:
    """Compare the class counts of a part with those of the rest: Cramér's V and Pearson's chi-square test.

    Takes classes int64 (n,), whether each image belongs to the part, bool (n,), and the share of images that count
    as independent. Returns None where either side has no image, or all images are of one class.
    """
    from scipy.stats import chi2

    classes = labels.max(initial=0) + 1
    table = np.stack([np.bincount(labels[side], minlength=classes) for side in (part, ~part)]).astype(float)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    p_value = float(chi2.sf(statistic * independent, table.shape[1] - 1))
    return Difference(float(np.sqrt(statistic / table.sum())), p_value)


def compare_means(values: Array, part: Array, independent: float = 1.0) -> Difference | None:
    """Compare the mean of `values` (n,) in a part and in the rest: standardised difference and Welch's test.

    The standard deviations within the two are pooled with equal weights (Cohen's d as in Austin 2009, Statistics
    in Medicine 28, equation 1). Returns None where either side has fewer than two images, or no value differs.
    """
    from scipy.stats import norm

    inside, outside = values[part], values[~part]
    if min(len(inside), len(outside)) < 2:
        return None
    variances = np.array([inside.var(ddof=1), outside.var(ddof=1)])
    spread = float(np.sqrt(variances.mean()))
    if spread < 1e-6:
        return None
    difference = float(inside.mean() - outside.mean())
    error = float(np.sqrt((variances / (np.array([len(inside), len(outside)]) * independent)).sum()))
    return Difference(difference / spread, float(2 * norm.sf(abs(difference) / error)))
