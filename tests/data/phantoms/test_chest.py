"""The phantom of several labels: its shares, which findings go together, and that each can be seen."""

from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from medray.audit.audit import find_leaks
from medray.data.dataset import ImageDataset
from medray.data.phantoms import load_phantom
from medray.data.phantoms.chest import CLASS_NAMES, SHARES
from medray.errors import DataError


@cache
def drawn(seed: int = 0, size: int | None = None, images: int | None = None) -> ImageDataset:
    return load_phantom("chest", seed, size, images)


def test_a_seed_gives_the_same_images_and_another_seed_others() -> None:
    small = drawn(images=400)
    assert load_phantom("chest", images=400).fingerprint == small.fingerprint
    assert not np.array_equal(drawn(1, images=400).images, small.images)
    assert drawn().source == "phantom:chest"
    assert small.source == "phantom:chest?images=400"
    assert "no figure compares" in small.notes[0]


def test_each_finding_has_its_share_and_half_of_the_films_none() -> None:
    dataset = drawn()
    assert dataset.shape == (48, 48, 1)
    assert dataset.labels.mean(axis=0) == pytest.approx([*SHARES.values()], abs=0.001)
    numbers = dataset.labels.sum(axis=1)
    assert 0.4 < (numbers == 0).mean() < 0.6
    assert (numbers > 1).mean() > 0.1
    for split in dataset.splits:
        assert dataset.split(split).class_counts().all()


def test_findings_go_together_as_they_do_in_the_chest() -> None:
    related = np.corrcoef(drawn().labels.T)
    at = {name: number for number, name in enumerate(CLASS_NAMES)}
    for other in ("atelectasis", "cardiomegaly", "consolidation"):
        assert related[at["effusion"], at[other]] > 0.1
    assert abs(related[at["mass"], at["pneumothorax"]]) < 0.1


def test_no_patient_is_in_two_splits_and_films_of_one_are_alike() -> None:
    dataset = drawn()
    assert dataset.groups is not None
    patients = [set(dataset.groups[part].tolist()) for part in dataset.splits.values()]
    assert sum(map(len, patients)) == len(set().union(*patients))
    same = np.flatnonzero(np.diff(dataset.groups) == 0)
    equal = (dataset.labels[same] == dataset.labels[same + 1]).all(axis=1).mean()
    anyone = (dataset.labels[same] == dataset.labels[np.roll(same, 7)]).all(axis=1).mean()
    assert equal > anyone + 0.15


@pytest.mark.parametrize(("name", "least"), [("cardiomegaly", 0.85), ("effusion", 0.8), ("pneumothorax", 0.65)])
def test_what_is_large_can_be_told_from_pixels_but_not_without_fail(name: str, least: float) -> None:
    dataset = drawn()
    label = CLASS_NAMES.index(name)
    pixels = dataset.images.reshape(len(dataset), -1) / 255
    train, rest = dataset.splits["train"], np.concatenate([dataset.splits["val"], dataset.splits["test"]])
    model = LogisticRegression(C=0.01, max_iter=500).fit(pixels[train], dataset.labels[train, label])
    assert least < roc_auc_score(dataset.labels[rest, label], model.decision_function(pixels[rest])) < 0.995


def test_too_few_images_for_its_rarest_finding_are_refused() -> None:
    with pytest.raises(DataError, match=r"has no image of .*: ask for more images"):
        load_phantom("chest", images=100, size=16)


@pytest.mark.parametrize(("seed", "size", "images"), [(0, None, None), (1, 28, 400)])
def test_no_two_films_are_taken_for_copies(seed: int, size: int | None, images: int | None) -> None:
    assert not find_leaks(drawn(seed, size, images)).duplicates
