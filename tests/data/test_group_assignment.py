"""Groups among splits, whatever their labels: no group divided, each class in each split, shares as near as can be."""

import itertools
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.data.group_assignment import Problem, assign_groups, divide_number
from medray.data.members import UNKNOWN

SHARES = np.array([0.7, 0.15, 0.15])
shares = st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4)).map(lambda s: np.array([1 - sum(s), *s]))
class_and_group = st.tuples(st.integers(0, 3), st.integers(0, 15))


def count_classes(labels: Array, splits: Array, count: int = 3) -> Array:
    """Images of each class in each split, (splits, classes)."""
    return np.stack([np.bincount(labels[splits == split], minlength=labels.max() + 1) for split in range(count)])


def sizes_to_images(sizes: list[list[int]]) -> tuple[Array, Array]:
    """Labels and groups of groups of one class each, from the sizes of each class's groups."""
    labels = np.repeat(np.arange(len(sizes)), [sum(groups) for groups in sizes])
    return labels, np.repeat(np.arange(sum(map(len, sizes))), [size for groups in sizes for size in groups])


@settings(max_examples=40)
@given(st.lists(class_and_group, min_size=1, max_size=60).filter(lambda p: len({g for _, g in p}) >= 3), shares)
def test_no_group_is_divided_and_no_split_is_empty_and_again_it_is_the_same(
    images: list[tuple[int, int]], shares: Array
) -> None:
    labels, groups = np.array(images).T
    splits = assign_groups(labels, groups, shares)
    assert all(len(set(splits[groups == group].tolist())) == 1 for group in np.unique(groups))
    assert set(splits.tolist()) == {0, 1, 2}
    assert (assign_groups(labels, groups, shares) == splits).all()


@settings(max_examples=40)
@given(st.lists(class_and_group, min_size=3, max_size=60), shares)
def test_a_class_is_in_as_many_splits_as_it_has_groups(images: list[tuple[int, int]], shares: Array) -> None:
    labels, groups = np.array([*images, (0, 0), (0, 1), (0, 2)]).T
    groups = groups * 4 + labels  # each of one class
    counts = count_classes(labels, assign_groups(labels, groups, shares))
    for label in np.unique(labels):
        number = min(len(np.unique(groups[labels == label])), 3)
        assert (counts[:, label] > 0).tolist() == [split < number for split in range(3)]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(1, 5), min_size=30, max_size=60), min_size=1, max_size=4))
def test_shares_are_within_a_group_where_groups_are_small(sizes: list[list[int]]) -> None:
    labels, groups = sizes_to_images(sizes)
    counts, totals = count_classes(labels, assign_groups(labels, groups, SHARES)), np.bincount(labels)
    assert np.abs(counts - np.outer(SHARES, totals))[1:].max() <= 5
    assert np.abs(counts.sum(axis=1) - SHARES * len(labels))[1:].max() <= 5


@settings(max_examples=30)
@given(st.lists(st.integers(3, 80), min_size=1, max_size=6), shares)
def test_images_alone_are_divided_within_an_image_of_each_class(numbers: list[int], shares: Array) -> None:
    labels = np.repeat(np.arange(len(numbers)), numbers)
    counts = count_classes(labels, assign_groups(labels, np.arange(len(labels)), shares))
    assert (counts >= 1).all()
    assert (np.abs(counts - np.outer(shares, numbers))[1:] <= 2).all()


def test_of_many_images_each_class_is_divided_exactly() -> None:
    labels = np.repeat(np.arange(10), 8_000)
    counts = count_classes(labels, assign_groups(labels, np.arange(len(labels)), SHARES))
    assert (np.abs(counts - np.outer(SHARES, np.bincount(labels))) <= 2).all()


def test_of_few_groups_no_assignment_is_cheaper() -> None:
    """Groups of several classes may exclude one another from a split; all assignments of up to 7 are compared."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        counts = rng.integers(1, 6, (rng.integers(3, 8), rng.integers(1, 6)))
        counts *= rng.random(counts.shape) < rng.choice([0.3, 0.6, 1.0])
        counts[np.arange(len(counts)), rng.integers(0, counts.shape[1], len(counts))] += 1
        counts = counts[:, counts.any(axis=0)]
        groups = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
        labels = np.concatenate([np.repeat(np.arange(len(row)), row) for row in counts])
        splits, problem = assign_groups(labels, groups, SHARES), Problem(counts, counts.sum(axis=1), SHARES)
        cost = problem.total_cost(splits[np.unique(groups, return_index=True)[1]])
        every = np.array(list(itertools.product(range(3), repeat=len(counts))))
        inside = (every[:, None] == np.arange(3)[:, None]).astype(float)
        costs = problem.cost(np.arange(3), inside @ problem.vectors, inside @ problem.vectors[:, -1] ** 2)
        assert cost == pytest.approx(costs.sum(axis=-1).min(), abs=1e-4)


def test_one_group_with_half_of_the_images_is_trained_on() -> None:
    labels, groups = sizes_to_images([[100, *[5] * 10], [100, *[5] * 10]])
    groups[labels == 1] -= 11  # each group has both classes
    splits = assign_groups(labels, groups, SHARES)
    counts = count_classes(labels, splits)
    assert set(splits[groups == 0].tolist()) == {0}
    assert (counts[1:] == 25).all() or (np.abs(counts[1:] - 0.15 * 150) <= 5).all()


def test_a_group_that_is_the_share_by_itself_is_not_the_split() -> None:
    """150 of 990 images are nearer to 15 % than 160 are, but a test split of one patient says nothing of others."""
    labels, groups = sizes_to_images([[150, *[40] * 21]])
    splits = assign_groups(labels, groups, SHARES)
    assert set(splits[groups == 0].tolist()) == {0}
    for split in (1, 2):
        sizes = np.bincount(groups[splits == split])
        assert sizes.max() <= sizes.sum() / 2
        assert 120 <= sizes.sum() <= 160


def test_classes_of_three_unequal_groups_are_mostly_trained_on() -> None:
    labels, groups = sizes_to_images([*[[100, 12, 9]] * 20, *[[4] * 300] * 3])
    counts = count_classes(labels, assign_groups(labels, groups, SHARES))
    assert (counts[0, :20] == 100).all()
    assert np.abs(counts.sum(axis=1) / len(labels) - SHARES)[1:].max() <= 0.01


def test_ten_thousand_images_of_two_thousand_groups_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.choice(10, 10_000, p=rng.dirichlet(np.ones(10))), rng.integers(0, 2000, 10_000)
    start = time.process_time()
    splits = assign_groups(labels, groups, SHARES)
    assert time.process_time() - start < 2
    counts = count_classes(labels, splits)
    assert np.abs(counts - np.outer(SHARES, counts.sum(axis=0)))[1:].max() <= 5
    assert np.abs(counts.sum(axis=1) / 10_000 - SHARES).max() <= 0.001


@given(st.integers(1, 50), shares)
def test_a_number_is_divided_within_one(total: int, shares: Array) -> None:
    numbers = divide_number(total, shares)
    assert numbers.sum() == total
    assert ((numbers > 0) == (np.arange(3) < total)).all()
    assert (np.abs(numbers - shares * total) < 2).all()


# -- several labels an image


@st.composite
def label_sets(draw: st.DrawFn) -> tuple[Array, Array]:
    """Labels int64 (n, 2 to 5) that come together more often than by chance, and the patients of the images."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, classes = draw(st.integers(120, 300)), draw(st.integers(2, 5))
    shares = rng.uniform(0.05, 0.4, classes)
    ill = rng.random((count, 1)) < 0.6
    labels = (ill & (rng.random((count, classes)) < shares / 0.6)).astype(np.int64)
    labels[rng.random(labels.shape) < draw(st.sampled_from([0.0, 0.05]))] = UNKNOWN
    labels[:10] = 1
    return labels, rng.integers(0, count // draw(st.integers(1, 3)), size=count)


@settings(max_examples=10, deadline=None)
@given(label_sets(), shares)
def test_each_label_has_its_share_of_each_split_and_no_patient_is_divided(
    images: tuple[Array, Array], shares: Array
) -> None:
    labels, groups = images
    splits = assign_groups(labels, groups, shares)
    assert all(len(set(splits[groups == group].tolist())) == 1 for group in np.unique(groups))
    having = np.column_stack([labels == 1, ~(labels == 1).any(axis=1)])
    of_split = np.stack([having[splits == split].sum(axis=0) for split in range(3)])
    totals = having.sum(axis=0)
    assert (of_split[:, totals > 0] > 0).all()
    # Within the images of some patients: the largest has about eight.
    assert np.abs(of_split - np.outer(shares, totals))[1:].max() <= 6
    sizes = np.bincount(splits, minlength=3)
    assert np.abs(sizes - shares * len(labels))[1:].max() <= 8


@settings(max_examples=4, deadline=None)
@given(label_sets(), st.randoms(use_true_random=False))
def test_in_another_order_of_the_labels_the_splits_are_as_good(images: tuple[Array, Array], random: Any) -> None:
    labels, groups = images
    order = random.sample(range(labels.shape[1]), labels.shape[1])
    for table in (labels, labels[:, order]):
        splits = assign_groups(table, groups, SHARES)
        counts = np.stack([(labels[splits == split] == 1).sum(axis=0) for split in range(3)])
        assert np.abs(counts - np.outer(SHARES, (labels == 1).sum(axis=0)))[1:].max() <= 5


def test_a_label_of_two_patients_is_trained_on_and_validated() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 3)
    labels = (rng.random((300, 2)) < 0.3).astype(np.int64)
    rare = np.isin(groups, (7, 20)).astype(np.int64)
    splits = assign_groups(np.column_stack([labels, rare]), groups, SHARES)
    assert {*splits[rare == 1].tolist()} == {0, 1}
