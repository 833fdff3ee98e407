"""Assign groups of images to splits: no group in two of them, each class in each, shares near those asked for.

Random assignments, every other one stratified by class, are improved by moving a group, or exchanging two, as long
as that lowers their cost, and the cheapest is taken. The cost is a sum over the splits:

absent         classes that the split lacks though they have groups enough, which weigh more than all that follows;
               having no image at all weighs more than lacking every class
deviation      of the split's share of all images from the share asked for, relative to it and squared, plus the
               mean of the same over the classes; not of train, which has what is left
concentration  the sum of the squared shares of the split's groups in its images, less 1/4: 0 for four equal groups
               or more, and above 0 where one group has more than half of the split; not of train
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.members import strata_of

SEED = 0  # not the search's: the test split must stay the same one
MOVABLE, EXCHANGEABLE = 3000, 150  # groups, of the largest shares of a class, that are moved and exchanged
LEAST_GAIN = 1e-5  # of cost, for a step; a share off by 0.3 % of itself costs as much
STEPS = 2000  # of one start
STARTS, LEAST_STARTS, EFFORT = 32, 2, 60_000  # starts: at most, at least, and groups in all of them together


def assign_groups(labels: Array, groups: Array, shares: Array, seed: int = SEED) -> Array:
    """Return the split of each image of `labels` (n,) or (n, classes) and `groups` (n,): int64 (n,), of a share.

    `shares` (splits,) of the images add up to 1; the first is that of train. There are as many groups as splits or
    more. A class of fewer groups than splits is in as many splits as it can, the first ones. Where each group has
    images of one class only, each other class is in each split; else a class may lack where groups of several
    classes stand in its way. Where images have several labels (Sechidis et al. 2011 deal them out by the rarest
    one), each label counts as a class. The same arguments always give the same splits.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    strata = strata_of(labels)
    counts = np.stack([np.bincount(group_of, weights=column) for column in strata.T], axis=1).astype(np.int64)
    problem = Problem(counts, np.bincount(group_of), np.asarray(shares, dtype=float))
    rng = np.random.default_rng(seed)
    starts = min(STARTS, max(LEAST_STARTS, EFFORT // len(counts)))
    results = [improve(problem, deal_groups(problem, rng, stratified=start % 2 == 0)) for start in range(starts)]
    best = min(results, key=lambda splits: round(problem.total_cost(splits), 6))
    split_of_image: Array = best[group_of]
    return split_of_image


@dataclass(frozen=True)
class Problem:
    """Numbers of images `counts` (groups, classes) of each class in each group, and the `shares` (splits,).

    `sizes` (groups,) are the numbers of images of the groups, which may be of several classes each.
    """

    counts: Array
    sizes: Array
    shares: Array

    @cached_property
    def vectors(self) -> Array:
        """The counts with the number of all images as a last column, float (groups, classes + 1)."""
        return np.column_stack([self.counts, self.sizes]).astype(float)

    @cached_property
    def expected(self) -> Array:
        """Images that each split would have of each class, and of all, float (splits, classes + 1)."""
        return np.outer(self.shares, self.vectors.sum(axis=0))

    @cached_property
    def required(self) -> Array:
        """Whether a split is to have a class, bool (splits, classes + 1)."""
        groups_of_class = (self.vectors > 0).sum(axis=0)
        required: Array = np.arange(len(self.shares))[:, None] < groups_of_class
        return required

    @cached_property
    def by_influence(self) -> Array:
        """The groups, those with the largest shares of classes first, int64 (groups,)."""
        influence = (self.counts / self.counts.sum(axis=0)).sum(axis=1)
        return np.argsort(-influence.round(9), kind="stable")

    def sums(self, splits: Array) -> tuple[Array, Array]:
        """Return an assignment's counts (splits, classes + 1) and its sums of squared group sizes (splits,)."""
        one_hot = splits == np.arange(len(self.shares))[:, None]
        counts = np.stack([self.vectors[members].sum(axis=0) for members in one_hot])
        return counts, one_hot @ self.vectors[:, -1] ** 2

    def cost(self, split: Any, counts: Array, squares: Array) -> Array:
        """Return the costs (...,) of splits with `counts` (..., classes + 1) and `squares`; `split` are which."""
        absent = (counts < 0.5) & self.required[split]
        absences = absent.sum(axis=-1) + self.counts.shape[1] * absent[..., -1]
        squared = (counts / self.expected[split] - 1) ** 2
        deviation = squared[..., :-1].mean(axis=-1) + squared[..., -1]
        concentration = np.maximum(squares / np.maximum(counts[..., -1], 1) ** 2 - 0.25, 0)
        costs: Array = absences * (10 / self.shares.min() ** 2) + (split > 0) * (deviation + concentration)
        return costs

    def total_cost(self, splits: Array) -> float:
        """Return the cost of an assignment of all groups."""
        return float(self.cost(np.arange(len(self.shares)), *self.sums(splits)).sum())


def deal_groups(problem: Problem, rng: np.random.Generator, *, stratified: bool) -> Array:
    """Return a random assignment int64 (groups,), perhaps `stratified` by the rarest class of each group."""
    splits = np.zeros(len(problem.counts), dtype=np.int64)
    strata = np.zeros_like(splits)
    if stratified:
        present = problem.counts > 0
        strata = np.where(present, present.sum(axis=0), len(present) + 1).argmin(axis=1)
    for label in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == label))
        splits[members] = np.repeat(np.arange(len(problem.shares)), divide_number(len(members), problem.shares))
    return splits


def divide_number(total: int, shares: Array) -> Array:
    """Divide `total` by `shares`, int64 (splits,): each gets one or more, of too few the first ones do."""
    numbers = np.maximum(np.floor(shares * total), np.arange(len(shares)) < total)
    while numbers.sum() > total:
        numbers[np.where(numbers > 1, numbers - shares * total, -np.inf).argmax()] -= 1
    while numbers.sum() < total:
        numbers[(numbers - shares * total).argmin()] += 1
    divided: Array = numbers.astype(np.int64)
    return divided


def improve(problem: Problem, splits: Array) -> Array:
    """Return the assignment `splits` (groups,) after all moves and exchanges that lower its cost."""
    splits = splits.copy()
    for _ in range(STEPS):
        counts, squares = problem.sums(splits)
        gain, step = best_move(problem, splits, counts, squares)
        if gain < LEAST_GAIN:
            gain, step = max(exchanges(problem, splits, counts, squares), key=lambda pair: pair[0])
        if gain < LEAST_GAIN:
            break
        for group, split in step.items():
            splits[group] = split
    return splits


def best_move(problem: Problem, splits: Array, counts: Array, squares: Array) -> tuple[float, dict[int, int]]:
    """Return the largest gain from moving a group, and the group's new split."""
    movable, every = problem.by_influence[:MOVABLE], np.arange(len(problem.shares))
    vectors, source = problem.vectors[movable], splits[movable]
    size_squares, base = vectors[:, -1] ** 2, problem.cost(every, counts, squares)
    removed = base[source] - problem.cost(source, counts[source] - vectors, squares[source] - size_squares)
    added = base - problem.cost(every, counts + vectors[:, None], squares + size_squares[:, None])
    # Rounded: the last bits of a machine's arithmetic decide nothing.
    gains = np.where(source[:, None] == every, -np.inf, (removed[:, None] + added).round(6))
    row, split = np.unravel_index(gains.argmax(), gains.shape)
    return float(gains[row, split]), {int(movable[row]): int(split)}


def exchanges(
    problem: Problem, splits: Array, counts: Array, squares: Array
) -> Iterator[tuple[float, dict[int, int]]]:
    """Yield the largest gain from exchanging two groups of each pair of splits, and the groups' new splits."""
    exchangeable = problem.by_influence[:EXCHANGEABLE]
    base = problem.cost(np.arange(len(problem.shares)), counts, squares)
    yield 0.0, {}
    for a, b in zip(*np.triu_indices(len(problem.shares), 1), strict=True):
        first, second = (exchangeable[splits[exchangeable] == split] for split in (a, b))
        if not len(first) or not len(second):
            continue
        change = problem.vectors[second] - problem.vectors[first][:, None]
        size_squares = problem.vectors[:, -1] ** 2
        square_change = size_squares[second] - size_squares[first][:, None]
        after = problem.cost(a, counts[a] + change, squares[a] + square_change)
        after += problem.cost(b, counts[b] - change, squares[b] - square_change)
        gains = (base[a] + base[b] - after).round(6)
        row, column = np.unravel_index(gains.argmax(), gains.shape)
        yield float(gains[row, column]), {int(first[row]): int(b), int(second[column]): int(a)}
