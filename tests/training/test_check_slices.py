"""fit() refuses before the first epoch what it could not learn from or measure on."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from medray.errors import DataError
from medray.stats.metrics import all_metrics
from medray.stats.score_names import METRICS
from medray.training.check_slices import check_slices
from medray.training.loop import fit


def labelled(labels: list[int], classes: int = 3) -> LabelledImages:
    names = tuple("abcdef"[:classes])
    images = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    return LabelledImages(images, np.array(labels, dtype=np.int64), np.arange(len(labels)), names)


@pytest.mark.parametrize("patience", [None, 2])
def test_a_class_that_val_lacks_is_refused_before_anything_is_trained(patience: int | None) -> None:
    labels = (np.arange(29) % 3).astype(np.int64)
    labels[21:][labels[21:] == 2] = 0
    dataset = ImageDataset(
        np.zeros((29, 28, 28, 1), dtype=np.uint8), labels, ("a", "b", "c"), source="here",
        splits={"train": np.arange(21), "val": np.arange(21, 29)},
    )  # fmt: skip
    with pytest.raises(DataError, match="split 'val' has no image of c: auc can't be measured on it") as caught:
        fit(TrainConfig(epochs=6, patience=patience), dataset.split("train"), dataset.split("val"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda s: dataclasses.replace(s, positions=s.positions[:0]), "is empty"),
        (lambda s: dataclasses.replace(s, positions=s.own_labels == 0), r"bool \(6,\).*np.flatnonzero"),
        (lambda s: dataclasses.replace(s, positions=s.positions - 1), "positions run from -1 to 4"),
        (lambda s: dataclasses.replace(s, positions=s.positions + 1), "positions run from 1 to 6"),
        (lambda s: dataclasses.replace(s, labels=s.labels + 1), "labels run from 1 to 3, but there are 3 classes"),
        (lambda s: dataclasses.replace(s, labels=s.labels - 1), "labels run from -1 to 1"),
        (lambda s: dataclasses.replace(s, labels=s.labels[:5]), "5 labels for 6 images"),
        (lambda s: dataclasses.replace(s, labels=s.labels / 2), "labels are float64"),
        (lambda s: dataclasses.replace(s, images=s.images / 255), "images are float64"),
        (lambda s: dataclasses.replace(s, class_names=("a",)), "1 class; at least two"),
        (lambda s: dataclasses.replace(s, class_names=("a", "c", "b")), "different class names"),
        (lambda s: dataclasses.replace(s, images=s.images[:, :4]), "different images"),
        (lambda s: labelled([1, 1, 1]), "no image of a and c|no image of a, c"),
    ],
)
@pytest.mark.parametrize("side", ["train", "val"])
def test_what_does_not_fit_is_one_line(
    change: Callable[[LabelledImages], LabelledImages], line: str, side: str
) -> None:
    good = labelled([0, 1, 2, 0, 1, 2])
    slices = {"train": good, "val": good, side: change(good)}
    with pytest.raises(DataError, match=line) as caught:
        fit(TrainConfig(epochs=1), **slices)
    assert side in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=12), st.integers(2, 3), st.sampled_from(list(METRICS)))
@settings(max_examples=200, deadline=None)
def test_what_is_not_refused_has_a_value_in_every_metric(labels: list[int], classes: int, metric: str) -> None:
    val = labelled(labels, classes)
    try:
        check_slices(labelled(list(range(classes)), classes), val, metric)
    except DataError:
        assert set(labels) != set(range(classes))
    else:
        uniform = np.full((len(labels), classes), 1 / classes, dtype=np.float32)
        assert np.isfinite(list(all_metrics(uniform, val.own_labels).values())).all()
