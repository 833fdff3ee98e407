"""How well one fact tells a class from all other images: a small tree, judged on images that it was not made of.

A tree of depth 2 on the fact alone, cross-validated by patient, gives each image the rank of its leaf. A number is
taken by its ranges, at most BINS of them; names are ordered by the share of the class in each, in training, which
for two classes gives the best division (Breiman et al. 1984, "Classification and Regression Trees", 9.4).
As a fact has few values, everything is a table of counts, and the time hardly depends on the number of images.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.audit.shortcuts.facts import Fact
from medray.audit.shortcuts.small_tree import leaf_shares
from medray.text import plural

BINS = 64
FOLDS = 5
RARE = 5  # images: values of fewer are one value, and of less than 1 %
RARE_SHARE = 0.01
ANOTHER = "another"
SEED = 0


@dataclass(frozen=True)
class CodedFact:
    """A fact whose m images have `codes` int64 (m,), 0 to `count` - 1, numbers in their order.

    `low` and `high` (count,) are the least and the greatest value of each code; for names both are the name.
    """

    fact: Fact
    codes: Array
    low: Array
    high: Array

    @property
    def count(self) -> int:
        """The number of codes."""
        return len(self.low)

    @classmethod
    def of(cls, fact: Fact) -> "CodedFact":
        """Return the coded fact: numbers in up to BINS ranges, NaN as one of its own, and rare names as one."""
        values, codes, sizes = np.unique(fact.values, return_inverse=True, return_counts=True)
        if fact.is_numeric:
            below = (np.cumsum(sizes) - sizes) / len(codes)  # the share of images with a smaller value
            bins = np.arange(len(values)) if len(values) <= BINS else np.floor(below * BINS).astype(np.int64)
            if np.isnan(values[-1]) and len(values) > 1:
                bins[-1] = bins[-2] + 1
            _, first, of_value = np.unique(bins, return_index=True, return_inverse=True)
            last = np.append(first[1:], len(values)) - 1
            return cls(fact, of_value[codes].astype(np.int64), values[first], values[last])
        rare = sizes < max(RARE, RARE_SHARE * len(codes))
        common = np.append(values[~rare].astype(object), ANOTHER) if rare.any() else values.astype(object)
        of_value = np.where(rare, (~rare).sum(), np.cumsum(~rare) - 1)
        return cls(fact, of_value[codes].astype(np.int64), common, common)


@dataclass(frozen=True)
class ClassTable:
    """A coded fact against one class: `counts` int64 (codes, folds, 2), of other images and of the class."""

    coded: CodedFact
    counts: Array

    @classmethod
    def of(cls, coded: CodedFact, positive: Array, folds: Array) -> "ClassTable":
        """Return the table of a class, `positive` bool (m,), and the `folds` int64 (m,) that hold images out."""
        cell = (coded.codes * FOLDS + folds) * 2 + positive
        counts = np.bincount(cell, minlength=coded.count * FOLDS * 2)
        return cls(coded, counts.reshape(coded.count, FOLDS, 2))

    @cached_property
    def scores(self) -> Array:
        """The scores of held-out images, 0 to 1, by code and fold, float64 (codes, folds).

        They are the ranks of the tree's leaves. The leaves' shares would be biased where folds are pooled: a fold
        that holds more of the class out leaves less of it to its tree, whose scores then are lower.
        """
        total = self.counts.sum(axis=1)
        shares = [self._leaf_shares(total - self.counts[:, fold]) for fold in range(FOLDS)]
        ranks = [np.unique(of_fold, return_inverse=True)[1] for of_fold in shares]
        return np.stack([rank / rank.max() if rank.any() else rank + 0.5 for rank in ranks], axis=1)

    @cached_property
    def shares_of_all(self) -> Array:
        """The class's share in the leaf of each code, of a tree on all images, float64 (codes,)."""
        return self._leaf_shares(self.counts.sum(axis=1))

    @property
    def selected(self) -> Array:
        """Which codes a tree on all images takes for the class, bool (codes,)."""
        selected: Array = self.shares_of_all > 0.5
        return selected

    def _leaf_shares(self, counts: Array) -> Array:
        """Return the class's share in the leaf of each code, float64 (codes,), of a tree on `counts` (codes, 2).

        Both sides weigh the same; the shares are 0.5 where a side has no image.
        """
        sizes = counts.sum(axis=0)
        if not sizes.all():
            return np.full(len(counts), 0.5)
        order = np.arange(len(counts))
        if not self.coded.fact.is_numeric:
            order = np.argsort((counts[:, 1] + sizes[1] / sizes.sum()) / (counts.sum(axis=1) + 1), kind="stable")
        shares = np.empty(len(counts))
        shares[order] = leaf_shares(counts[order] / (2 * sizes))
        return shares

    def auc_of(self, scores: Array) -> float:
        """Return the AUC of scores (codes, folds); ties count half."""
        values, code = np.unique(scores, return_inverse=True)
        counts = np.zeros((len(values), 2))
        np.add.at(counts, code.ravel(), self.counts.reshape(-1, 2))
        others, cases = counts.T
        below = np.cumsum(others) - others / 2
        return float(cases @ below / (others.sum() * cases.sum()))

    def exceeds(self, least: float) -> bool:
        """Return whether the AUC of held-out scores is above `least`; for speed, first that of a tree on all."""
        on_all = np.repeat(self.shares_of_all[:, None], FOLDS, axis=1)
        return self.auc_of(on_all) > least and self.auc_of(self.scores) > least

    def shares(self) -> tuple[float, float]:
        """Return the shares of the class, and of all others, that have the selected codes."""
        others, cases = self.counts[self.selected].sum(axis=(0, 1)) / self.counts.sum(axis=(0, 1))
        return float(cases), float(others)

    def rule(self) -> str:
        """Return the selected values in words, as `width ≥ 600 px`."""
        fact = self.coded.fact
        if not fact.is_numeric:
            return f"{fact.name} {_names_of(self.coded, self.counts[:, :, 1].sum(axis=1) * self.selected)}"
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.selected.astype(np.int8), [0]])))
        ranges = [_range_of(self.coded, first, end - 1) for first, end in edges.reshape(-1, 2).tolist()]
        return f"{fact.name} {' or '.join(ranges)}"


def deal_folds(groups: Array, classes: Array) -> Array:
    """Return the fold that holds each image out, int64 (m,), stratified by the `classes` (m,) of whole groups."""
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(SEED).permutation(len(first))
    order = shuffled[np.argsort(classes[first[shuffled]], kind="stable")]
    folds = np.empty(len(first), dtype=np.int64)
    folds[order] = np.arange(len(first)) % FOLDS
    return folds[group_of]


def _names_of(coded: CodedFact, cases: Array) -> str:
    """Return the selected names, those with the most `cases` (codes,) of the class first."""
    order = [code for code in np.argsort(-cases, kind="stable").tolist() if cases[code]]
    names = [f"'{coded.low[code]}'" if coded.low[code] else "(none)" for code in order]
    more = f" or {plural(len(names) - 2, 'other')}" if len(names) > 2 else ""
    return " or ".join(names[:2]) + more


def _range_of(coded: CodedFact, first: int, last: int) -> str:
    """Return the range of the codes `first` to `last` in words."""
    unknown = np.isnan(coded.low[-1])
    if unknown and first == coded.count - 1:
        return "not known"
    ends_unknown = unknown and last == coded.count - 1
    last -= int(ends_unknown)
    low, high = (format_number(coded.fact, float(x)) for x in (coded.low[first], coded.high[last]))
    greatest = last == coded.count - 1 - int(unknown)
    unit = f" {coded.fact.unit}" if coded.fact.unit not in ("", "date") else ""
    if low == high:
        text = f"= {low}{unit}"
    elif greatest:
        text = f"≥ {low}{unit}"
    else:
        text = f"≤ {high}{unit}" if first == 0 else f"{low} to {high}{unit}"
    return f"{text} or not known" if ends_unknown else text


def format_number(fact: Fact, value: float) -> str:
    """Return a value of a fact, dates as 2020-03-31, 2020-03 or 2020."""
    if fact.unit == "date":
        text = f"{value:08.0f}"
        parts = [text[:4], text[4:6], text[6:]]
        return "-".join(part for part in parts if part != "00")
    return f"{value:.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"
