"""Folds: each image held out once, no patient on both sides, no test image anywhere; and what is refused."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.data.dataset import Fold, ImageDataset
from medray.data.folds import GIVEN, GROUPED, STRATIFIED, Folds, make_folds
from medray.errors import DataError, RunError


def make(labels: Array, splits: dict[str, Array], **changes: Any) -> ImageDataset:
    """Images of one pixel; only their labels, splits, groups and folds matter here."""
    images = np.zeros((len(labels), 1, 1, 1), dtype=np.uint8)
    names = tuple(f"class{i}" for i in range(max(2, int(labels.max()) + 1)))
    parts = {name: np.asarray(positions, dtype=np.int64) for name, positions in splits.items()}
    return ImageDataset(images, labels.astype(np.int64), names, parts, "a-test", **changes)


@st.composite
def layouts(draw: st.DrawFn, *, grouped: bool) -> ImageDataset:
    """Images of two to four classes in three splits, in any order and share, of patients of any size."""
    count = draw(st.integers(8, 70))
    classes = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = rng.dirichlet(np.ones(classes) * draw(st.sampled_from([0.5, 2.0, 20.0])))
    labels = np.append(np.arange(classes), rng.choice(classes, size=count - classes, p=shares))
    where = rng.choice(3, size=count, p=[0.6, 0.25, 0.15])
    order = rng.permutation(count)
    splits = {name: order[where[order] == i] for i, name in enumerate(("train", "val", "test"))}
    groups = None
    if grouped:
        groups = rng.integers(0, draw(st.integers(1, count)), size=count)
        if draw(st.booleans()):
            groups = np.array([f"patient {number}" for number in groups])
    return make(labels, splits, groups=groups)


def pool_of(dataset: ImageDataset) -> Array:
    return np.sort(np.concatenate([dataset.splits["train"], dataset.splits["val"]]))


def smallest(dataset: ImageDataset) -> int:
    """Images, or patients, of the rarest class in the pool."""
    pool = pool_of(dataset)
    units = pool if dataset.groups is None else dataset.groups[pool]
    return min(len(np.unique(units[dataset.labels[pool] == index])) for index in range(len(dataset.class_names)))


def check_sides(dataset: ImageDataset, folds: Folds) -> None:
    """What holds of every cross-validation whose folds divide the pool."""
    pool, test = pool_of(dataset), dataset.splits["test"]
    assert np.sort(np.concatenate([fold.val for fold in folds.folds])).tolist() == pool.tolist()
    assert folds.held_out.tolist() == pool.tolist()
    for fold in folds.folds:
        assert np.sort(np.concatenate([fold.train, fold.val])).tolist() == pool.tolist()
        assert not np.intersect1d(fold.train, fold.val).size
        assert not np.intersect1d(np.concatenate([fold.train, fold.val]), test).size
        for side in (fold.train, fold.val):
            assert set(dataset.labels[side].tolist()) == set(range(len(dataset.class_names)))


@settings(deadline=None, max_examples=40)
@given(layouts(grouped=False), st.integers(2, 4), st.integers(0, 2**32 - 1), st.integers(5, 200))
def test_a_group_of_related_images_is_held_out_together(
    dataset: ImageDataset, count: int, seed: int, most: int
) -> None:
    related = np.random.default_rng(seed).integers(0, most, size=len(dataset))
    try:
        folds = make_folds(dataset, count, seed, lambda _: related)
    except DataError:
        assume(False)
    check_sides(dataset, folds)
    for fold in folds.folds:
        assert not np.intersect1d(related[fold.train], related[fold.val]).size


def test_groups_of_one_image_change_no_fold(dataset: ImageDataset) -> None:
    plain, alone = (make_folds(dataset, 3, 1, of) for of in (None, lambda data: np.arange(len(data))))
    assert plain.to_dict() == alone.to_dict()


@settings(deadline=None, max_examples=80)
@given(layouts(grouped=False), st.integers(2, 7), st.integers(0, 2**63 - 1))
def test_without_patients_each_image_is_held_out_once_and_classes_are_shared_out_evenly(
    dataset: ImageDataset, count: int, seed: int
) -> None:
    if smallest(dataset) < count:
        with pytest.raises(DataError, match=rf"{count} folds, but class class\d has \d+ images in train and val"):
            make_folds(dataset, count, seed)
        return
    folds = make_folds(dataset, count, seed)
    assert (folds.kind, folds.seed, len(folds)) == (STRATIFIED, seed, count)
    check_sides(dataset, folds)
    classes = len(dataset.class_names)
    counts = np.array([np.bincount(dataset.labels[fold.val], minlength=classes) for fold in folds.folds])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


@settings(deadline=None, max_examples=100)
@given(layouts(grouped=True), st.integers(2, 5), st.integers(0, 2**32))
def test_no_patient_ever_stands_on_both_sides(dataset: ImageDataset, count: int, seed: int) -> None:
    assert dataset.groups is not None
    if smallest(dataset) < count:
        with pytest.raises(DataError, match=rf"{count} folds, but class class\d has \d+ patients in train and"):
            make_folds(dataset, count, seed)
        return
    try:
        folds = make_folds(dataset, count, seed)
    except DataError:  # patients can't always be dealt so that each fold has each class
        with pytest.raises(DataError, match="ask for fewer folds"):
            make_folds(dataset, count, seed)
        return
    assert (folds.kind, len(folds)) == (GROUPED, count)
    check_sides(dataset, folds)
    for fold in folds.folds:
        assert not set(dataset.groups[fold.train].tolist()) & set(dataset.groups[fold.val].tolist())


@pytest.mark.filterwarnings("error")
def test_each_fold_has_each_class_where_each_class_has_patients_enough() -> None:
    """Of these settings scikit-learn alone leaves a class out of a fold in some, and nothing of its own is heard."""
    rng = np.random.default_rng(0)
    for seed in range(300):
        images = [(label, f"{label}-{patient}") for label in range(rng.integers(2, 4))
                  for patient in range(rng.integers(2, 12)) for _ in range(rng.integers(1, 9))]  # fmt: skip
        labels, groups = np.array([label for label, _ in images]), np.array([patient for _, patient in images])
        if seed % 2:  # patients with images of several classes
            labels = rng.permutation(labels)
        dataset = make(labels, {"train": np.arange(len(labels))}, groups=groups)
        if smallest(replace(dataset, splits={**dataset.splits, "val": np.arange(0)})) < 5:
            continue
        for train, held_out in make_folds(dataset, 5, seed).folds:
            assert not {*groups[train]} & {*groups[held_out]}


@settings(deadline=None, max_examples=40)
@given(st.booleans().flatmap(lambda grouped: layouts(grouped=grouped)), st.integers(2, 4), st.integers(0, 2**63))
def test_folds_survive_json_and_the_same_seed_gives_the_same(dataset: ImageDataset, count: int, seed: int) -> None:
    try:
        folds = make_folds(dataset, count, seed)
    except DataError:
        assume(False)
    stored = json.loads(json.dumps(folds.to_dict(), allow_nan=False))
    for other in (Folds.from_dict(stored, "folds.json"), make_folds(dataset, count, seed)):
        assert (other.kind, other.seed) == (folds.kind, folds.seed)
        assert other.to_dict() == folds.to_dict()
        assert all(side.dtype == np.int64 for fold in other.folds for side in (fold.train, fold.val))


LABELS = np.arange(60) % 3
SPLITS = {"train": np.arange(30), "val": np.arange(30, 48), "test": np.arange(48, 60)}


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_another_seed_gives_other_folds(groups: Array | None) -> None:
    dataset = make(LABELS, SPLITS, groups=groups)
    # Beyond 32 bits too, where the seeds share their lower or their upper half.
    seeds = (0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**33, 2**63 - 1)
    contents = {json.dumps(make_folds(dataset, 4, seed).to_dict()["folds"]) for seed in seeds}
    assert len(contents) == len(seeds)


def test_five_folds_are_made_unless_a_number_is_given() -> None:
    assert len(make_folds(make(LABELS, SPLITS), None, 0)) == 5


def test_the_order_of_the_splits_positions_does_not_matter() -> None:
    turned = {name: positions[::-1] for name, positions in SPLITS.items()}
    plain, other = (make_folds(make(LABELS, splits), 3, 1).to_dict() for splits in (SPLITS, turned))
    assert plain == other


def test_a_pool_may_be_of_one_split_only() -> None:
    dataset = make(LABELS, {"train": np.arange(40), "test": np.arange(40, 60)})
    assert make_folds(dataset, 4, 0).held_out.tolist() == list(range(40))


def test_patients_may_be_numbers_or_texts_in_one_column() -> None:
    mixed = np.array([number // 2 if number % 4 < 2 else f"p{number // 2}" for number in range(60)], dtype=object)
    folds = make_folds(make(LABELS, SPLITS, groups=mixed), 3, 0)
    assert all(not set(mixed[fold.train]) & set(mixed[fold.val]) for fold in folds.folds)


# -- the data set's own folds


def with_folds(*held_out: Array, **changes: Any) -> ImageDataset:
    everything = np.arange(60)
    pairs = tuple(
        (np.setdiff1d(everything, positions), np.asarray(positions, dtype=np.int64)) for positions in held_out
    )
    return make(LABELS, SPLITS, folds=pairs, **changes)


THIRDS = (np.arange(16), np.arange(16, 32), np.arange(32, 48))


def test_own_folds_are_used_as_they_are() -> None:
    dataset = with_folds(*THIRDS)
    for count in (None, 3):
        folds = make_folds(dataset, count, 9)
        assert folds.kind == GIVEN
        assert [fold.val.tolist() for fold in folds.folds] == [third.tolist() for third in THIRDS]
        check_sides(dataset, folds)


def test_test_images_in_own_folds_are_left_out_of_both_sides() -> None:
    dataset = with_folds(np.arange(0, 60, 2), np.arange(1, 60, 2))
    folds = make_folds(dataset, None, 0)
    assert [fold.val.tolist() for fold in folds.folds] == [list(range(0, 48, 2)), list(range(1, 48, 2))]
    check_sides(dataset, folds)


def test_own_folds_may_hold_out_an_image_twice() -> None:
    folds = make_folds(with_folds(np.arange(20), np.arange(10, 48)), None, 0)
    assert folds.held_out.tolist() == list(range(48))


def test_own_folds_with_whole_patients_are_taken() -> None:
    groups = np.arange(60) // 4
    assert make_folds(with_folds(*THIRDS, groups=groups), None, 0).kind == GIVEN


# -- refusals: one line that names the data and what is wrong


def refusal(dataset: ImageDataset, count: int | None = None, seed: int = 0) -> str:
    with pytest.raises(DataError) as caught:
        make_folds(dataset, count, seed)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_more_folds_than_images_of_a_class_are_refused() -> None:
    rare = np.where(np.arange(60) < 4, 2, np.arange(60) % 2)
    assert refusal(make(rare, SPLITS), 5) == (
        "a-test: 5 folds, but class class2 has 4 images in train and val: ask for at most 4 folds"
    )
    assert len(make_folds(make(rare, SPLITS), 4, 0)) == 4


@pytest.mark.parametrize("images", [0, 1])
def test_a_class_that_can_not_be_divided_is_refused(images: int) -> None:
    """Those of the test split do not count."""
    labels = np.arange(60) % 2
    labels[50:], labels[:images] = 2, 2
    assert refusal(make(labels, SPLITS), 2).endswith(
        f"class class2 has {images} images in train and val: it can't be folded"
    )


def test_more_folds_than_patients_of_a_class_are_refused() -> None:
    groups = np.where(LABELS == 1, np.arange(60) // 16, 100 + np.arange(60))
    assert refusal(make(LABELS, SPLITS, groups=groups), 4) == (
        "a-test: 4 folds, but class class1 has 3 patients in train and val: ask for at most 3 folds"
    )


def test_a_fold_without_a_class_is_refused() -> None:
    """Each class is that of two of the three patients: however they are parted, one side lacks a class."""
    groups = np.array([1, 1, 2, 2, 3, 3])
    dataset = make(np.array([0, 2, 0, 1, 1, 2]), {"train": np.arange(6)}, groups=groups)
    assert refusal(dataset, 2).startswith("a-test: fold 0 has no ")
    assert refusal(dataset, 2).endswith("; ask for fewer folds")


@pytest.mark.parametrize(
    ("held_out", "lacking"),
    [
        (np.flatnonzero(LABELS == 2), "training image of class2"),
        (np.arange(0, 60, 3), "training image of class0"),
        (np.arange(60), "training image of class0, class1, class2"),
        (np.array([2, 1, 4]), "held-out image of class0"),
        (np.arange(48, 60), "held-out image of class0, class1, class2"),
    ],
)
def test_an_own_fold_without_a_class_is_refused(held_out: Array, lacking: str) -> None:
    dataset = with_folds(np.arange(24), held_out)
    assert refusal(dataset) == f"a-test: fold 1 has no {lacking}; its folds are the data set's own"


@pytest.mark.parametrize("splits", [{"test": np.arange(60)}, {"train": [], "val": [], "test": np.arange(9)}, {}])
def test_empty_splits_are_refused(splits: dict[str, Any]) -> None:
    assert refusal(make(LABELS, splits), 2) == "a-test: splits train and val are empty: there is nothing to fold"


@pytest.mark.parametrize("count", [1, 0, -1])
def test_fewer_than_two_folds_are_refused(count: int) -> None:
    assert refusal(make(LABELS, SPLITS), count) == f"{count} fold: at least two are needed"


def test_another_number_than_that_of_the_own_folds_is_refused() -> None:
    assert refusal(with_folds(*THIRDS), 5) == "a-test: has 3 folds of its own; leave --folds out"
    assert "its own folds are none" in refusal(replace(with_folds(*THIRDS), folds=()))


def test_own_folds_that_part_a_patient_are_refused() -> None:
    groups = np.arange(60) // 3
    assert refusal(with_folds(*THIRDS, groups=groups)) == (
        "a-test: its fold 0 has images of one patient on both sides"
    )


@pytest.mark.parametrize("missing", [np.nan, "", None])
@pytest.mark.parametrize("ready_made", [False, True])
def test_images_without_a_patient_are_refused(missing: Any, ready_made: bool) -> None:
    """Two of them may be of one patient, who would stand on both sides."""
    groups = (np.arange(60) // 4).astype({float: float, str: "U9"}.get(type(missing), object))
    groups[[3, 40, 59]] = missing
    dataset = with_folds(*THIRDS, groups=groups) if ready_made else make(LABELS, SPLITS, groups=groups)
    assert refusal(dataset).startswith("a-test: 2 of 48 images in train and val have no patient")


# -- a file of folds


FILE: dict[str, Any] = {"kind": "grouped", "seed": 3, "folds": [{"train": [0, 1], "val": [2]}]}


def changed_file(**changes: Any) -> dict[str, Any]:
    return FILE | changes


def one_fold(train: Any, val: Any) -> dict[str, Any]:
    return changed_file(folds=[{"train": train, "val": val}])


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        None,
        "folds",
        {name: value for name, value in FILE.items() if name != "folds"},
        {name: value for name, value in FILE.items() if name != "kind"},
        {name: value for name, value in FILE.items() if name != "seed"},
        changed_file(kind="random"),
        changed_file(kind=None),
        changed_file(kind=[]),
        changed_file(seed="3"),
        changed_file(seed=None),
        changed_file(seed=True),
        changed_file(folds=[]),
        changed_file(folds=None),
        changed_file(folds=3),
        changed_file(folds=["train"]),
        changed_file(folds=[{"train": [0]}]),
        one_fold([0, 1], [1, 2]),
        one_fold([0, 1], []),
        one_fold([], [0]),
        one_fold([0.5], [2]),
        one_fold(["0"], [2]),
        one_fold([True], [2]),
        one_fold([-1], [2]),
        one_fold([[0, 1]], [2]),
        one_fold([2**70], [2]),
        one_fold(0, [2]),
    ],
    ids=repr,
)
def test_a_damaged_file_is_refused(content: Any) -> None:
    with pytest.raises(RunError, match=r"^runs/x/folds\.json is damaged: ") as caught:
        Folds.from_dict(content, "runs/x/folds.json")
    assert "\n" not in str(caught.value)


def test_a_whole_file_is_read() -> None:
    folds = Folds.from_dict(FILE, "folds.json")
    assert folds.to_dict() == FILE
    assert isinstance(folds.folds[0], Fold)
    assert folds.held_out.tolist() == [2]


# -- several labels an image


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_of_label_sets_each_label_is_shared_out_and_no_patient_divided(
    count: int, seed: int, grouped: bool
) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((200, 4)) < [0.3, 0.2, 0.2, 0.15]).astype(np.int64)
    groups = rng.integers(0, 90, size=200) if grouped else None
    splits = {"train": np.arange(130), "val": np.arange(130, 170), "test": np.arange(170, 200)}
    dataset = replace(make(np.arange(200) % 4, splits, groups=groups), labels=labels)
    folds = make_folds(dataset, count, 0)
    assert folds.kind == (GROUPED if grouped else STRATIFIED)
    assert folds.held_out.tolist() == list(range(170))
    shares = []
    for fold in folds.folds:
        assert np.sort(np.concatenate([fold.train, fold.val])).tolist() == list(range(170))
        if groups is not None:
            assert not np.intersect1d(groups[fold.train], groups[fold.val]).size
        shares.append(labels[fold.val].sum(axis=0))
    assert np.ptp(shares, axis=0).max() <= (8 if grouped else 3)


def test_a_label_of_one_patient_can_not_be_folded() -> None:
    labels = np.zeros((40, 2), dtype=np.int64)
    labels[::2, 0], labels[:4, 1] = 1, 1
    splits = {"train": np.arange(30), "val": np.arange(30, 40)}
    groups = np.repeat(np.arange(10), 4)
    dataset = replace(make(np.arange(40) % 2, splits, groups=groups), labels=labels)
    with pytest.raises(DataError, match=r"fold \d has no training image of class1"):
        make_folds(dataset, 3, 0)
