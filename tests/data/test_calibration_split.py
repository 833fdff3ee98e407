"""The calibration split: kept aside from the training images, for all classes and patients, the same on every call."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.data.calibration_split import CASES, calibration_share, with_calibration
from medray.data.dataset import ImageDataset
from medray.data.folds import make_folds
from medray.data.similarity.groups import related_groups
from medray.errors import ConfigError
from medray.space.preparation import Preparation


def made(counts: tuple[int, int], patients: Array | None = None, others: int = 20) -> ImageDataset:
    """Images of noise: `counts` training images of each class, and `others` in val and in test."""
    train = np.repeat([0, 1], counts)
    labels = np.concatenate([train, np.arange(2 * others) % 2]).astype(np.int64)
    images = np.random.default_rng(0).integers(0, 256, size=(len(labels), 12, 12, 1), dtype=np.uint8)
    ends = np.cumsum([0, len(train), others, others])
    splits = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(("train", "val", "test"))}
    groups = None if patients is None else np.concatenate([patients, 10_000 + np.arange(2 * others)])
    return ImageDataset(images, labels, ("a", "b"), splits, "made", groups=groups)


def test_it_comes_from_the_training_images_alone() -> None:
    dataset = made((300, 100))
    divided = with_calibration(dataset, None)
    splits = divided.splits
    assert np.array_equal(np.sort(np.r_[splits["train"], splits["calibration"]]), dataset.splits["train"])
    assert np.array_equal(splits["test"], dataset.splits["test"])
    assert np.bincount(divided.labels[splits["calibration"]])[1] >= CASES
    assert with_calibration(dataset, None).fingerprint == divided.fingerprint != dataset.fingerprint
    assert "of 400 training images are kept aside" in divided.notes[-1]
    assert with_calibration(divided, None) is divided


@pytest.mark.parametrize(("cases", "share"), [(60, 0), (90, 20.5 / 90), (100, 20.5 / 100), (1000, 0.15)])
def test_without_a_share_it_is_as_large_as_promises_need_or_not_made(cases: int, share: float) -> None:
    labels = np.repeat([0, 1], [1000, cases])
    assert calibration_share(labels, np.arange(len(labels)), 2) == pytest.approx(share)
    assert ("calibration" in with_calibration(made((1000, cases)), None).splits) == (share > 0)
    assert "calibration" not in with_calibration(made((1000, cases)), 0).splits


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 5), st.integers(0, 5))
def test_a_patient_is_on_one_side_and_no_fold_has_it(images: int, seed: int) -> None:
    patients = np.random.default_rng(seed).integers(0, 500 // images, size=500)
    divided = with_calibration(made((250, 250), patients), 0.2)
    assert divided.groups is not None
    aside, train = divided.splits["calibration"], divided.splits["train"]
    assert not np.intersect1d(divided.groups[aside], divided.groups[train]).size
    assert 0.1 <= len(aside) / 500 <= 0.3
    folds = make_folds(divided, 3, 0, related_groups)
    assert not np.intersect1d(folds.held_out, aside).size
    assert not any(np.intersect1d(fold.train, aside).size for fold in folds.folds)


def test_its_share_is_of_the_training_images_and_may_be_none_of_them() -> None:
    assert Preparation.from_dict({"splits": {"calibration": 0}}).splits.calibration == 0
    assert Preparation.from_dict({}).splits.calibration is None
    for share in (-0.1, 1, True, "much"):
        with pytest.raises(ConfigError, match=r"splits\.calibration"):
            Preparation.from_dict({"splits": {"calibration": share}})


def test_of_several_labels_each_has_its_share_and_no_patient_is_divided() -> None:
    rng = np.random.default_rng(3)
    patients = rng.integers(0, 400, size=800)
    dataset = made((400, 400), patients)
    labels = (rng.random((len(dataset), 3)) < [0.4, 0.3, 0.25]).astype(np.int64)
    dataset = replace(dataset, labels=labels, class_names=("a", "b", "c"))
    divided = with_calibration(dataset, None)
    aside, train = divided.splits["calibration"], dataset.splits["train"]
    counts = labels[aside].sum(axis=0)
    assert (np.abs(counts - labels[train].sum(axis=0) * len(aside) / len(train)) <= 6).all()
    assert divided.groups is not None
    assert not np.intersect1d(divided.groups[aside], divided.groups[divided.splits["train"]]).size
    of_label = [len(np.unique(patients[labels[train, label] == 1])) for label in range(3)]
    assert calibration_share(labels[train], patients, 3) == max(0.15, (CASES + 0.5) / min(of_label))
