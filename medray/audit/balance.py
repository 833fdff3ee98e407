"""Balance: is a split, or what a fold holds out, like the rest?

Two things must hold before a part is called different: the difference must matter, and chance must be an unlikely
reason for it.

It matters where Cramér's V of the classes is 0.1 or more, or the standardised difference of the means is more than
0.2 of a standard deviation; both are what Cohen (1988, "Statistical Power Analysis for the Behavioral Sciences",
chapters 2 and 7) calls a small effect. Chance is unlikely where the p-value, of Pearson's chi-square test or of
Welch's test, is below 0.01 divided by the number of comparisons (Bonferroni).

Images of one patient are alike, so they are no independent draws. Where patients are known, the tests count
patients and not images: the most that the design effect can be (Kish 1965, "Survey Sampling", section 5.4, with
an intraclass correlation of 1).
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array

SMALL_V, SMALL_DIFFERENCE = 0.1, 0.2
SIGNIFICANT = 0.01


@dataclass(frozen=True)
class Difference:
    """How much a part differs from the rest: `effect` is Cramér's V or a standardised difference."""

    effect: float
    p_value: float

    def stands_out(self, least: float, comparisons: int) -> bool:
        """Whether it matters and is unlikely to be chance."""
        return abs(self.effect) >= least and self.p_value < SIGNIFICANT / comparisons


def compare_classes(labels: Array, part: Array, independent: float = 1.0) -> Difference | None:
    """Compare the class counts of a part with the rest's: Cramér's V and Pearson's chi-square test.

    Takes classes int64 (n,), which images are of the part, bool (n,), and the share of images that count as
    independent. None where either has no image, or all are of one class.
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
    """Compare the mean of `values` (n,) in a part with the rest's: the difference in standard deviations.

    The standard deviation is that within the two, pooled by equal weights (Cohen's d as in Austin 2009, Statistics
    in Medicine 28, equation 1). None where either has fewer than two images, or no value differs.
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
