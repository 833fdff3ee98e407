"""What is said of splits that were drawn: classes without an image, shares far off, patients that hold too much."""

import numpy as np
import pytest

from medray._types import Array
from medray.data.splits import make_splits
from medray.errors import DataError
from medray.space.preparation import Shares

NAMES = ("benign", "melanoma", "nevus")


def draw(
    labels: list[int], patients: list[int] | None, duplicates: Array | None = None
) -> tuple[dict[str, Array], list[str]]:
    """Draw val and test; returns the splits and the notes besides those on how many images were drawn."""
    groups = None if patients is None else np.array(patients)
    related = None if duplicates is None else lambda: duplicates
    splits, notes = make_splits(
        [None] * len(labels),
        np.array(labels),
        groups,
        Shares(),
        "here",
        class_names=NAMES,
        duplicate_groups=related,
    )
    assert [note.split(":")[0] for note in notes[:2]] == ["val", "test"]
    assert all("images drawn by class" in note for note in notes[:2])
    return splits, notes[2:]


def test_of_splits_as_asked_for_nothing_is_said() -> None:
    for patients in (None, [image // 2 for image in range(120)]):
        splits, notes = draw([0] * 60 + [1] * 60, patients)
        assert [len(splits[split]) for split in ("train", "val", "test")] == [84, 18, 18]
        assert not notes


@pytest.mark.parametrize(("patients", "absent"), [(1, ("val", "test")), (2, ("test",)), (3, ())])
def test_a_class_of_few_patients_is_named_where_it_is_not(patients: int, absent: tuple[str, ...]) -> None:
    labels = [0] * 60 + [1] * 12
    splits, notes = draw(labels, [*range(60), *(100 + image % patients for image in range(12))])
    words = f"{patients} patient{'s' * (patients > 1)}"
    assert notes == [
        f"{split}: no image of melanoma ({words}), as no patient is in two splits" for split in absent
    ]
    for split, positions in splits.items():
        assert (np.array(labels)[positions] == 1).any() == (split not in absent)


def test_the_split_of_one_patient_and_the_share_that_can_not_be_are_named() -> None:
    splits, notes = draw([0, 1] * 15, [image // 10 for image in range(30)])
    assert notes == [
        *(
            f"{split}: 33.3% of the images, though 15.0% were asked for: each class is to be in each split, no "
            "patient in two"
            for split in ("val", "test")
        ),
        *(f"{split}: all of its 10 images are of one patient" for split in ("train", "val", "test")),
    ]
    assert {len(positions) for positions in splits.values()} == {10}
    _, notes = draw([0, 1] * 50, [max(image - 60, 0) for image in range(100)])
    assert notes == ["train: 61 of its 70 images are of one patient"]


def test_classes_of_three_images_get_more_than_the_share_and_it_is_said() -> None:
    splits, notes = draw([0] * 3 + [1] * 3 + [2] * 3, None)
    assert [len(splits[split]) for split in ("train", "val", "test")] == [3, 3, 3]
    assert notes == [
        f"{split}: 33.3% of the images, though 15.0% were asked for: each class is to be in each split"
        for split in ("val", "test")
    ]


def test_duplicates_hold_more_than_half_of_a_split() -> None:
    labels, copies = [0] * 40 + [1] * 3, np.array([*range(40), 40, 40, 40])
    _, notes = draw(labels, None, duplicates=copies)
    assert notes[:2] == [
        f"{split}: no image of melanoma (1 group of duplicates), as no group of duplicates is in two splits"
        for split in ("val", "test")
    ]


@pytest.mark.parametrize(
    ("labels", "patients", "line"),
    [
        (
            [0] * 9 + [1] * 2,
            None,
            "too few images for 3 splits of class melanoma (2); `labels: {min_count: 3}` leaves",
        ),
        ([0] * 9 + [1], [*range(10)], "too few images for 3 splits of class melanoma (1)"),
        ([0, 1] * 6, [0, 1] * 6, "2 patients can't be divided into 3 splits"),
    ],
)
def test_what_can_not_be_divided_is_refused_in_one_line(
    labels: list[int], patients: list[int] | None, line: str
) -> None:
    with pytest.raises(DataError) as caught:
        draw(labels, patients)
    assert str(caught.value).startswith(f"here: val and test can't be drawn from its images: {line}")


def test_where_the_source_names_test_two_patients_of_a_class_are_enough() -> None:
    labels, patients = np.array([0, 1] * 12), np.arange(24) % 4
    names = ["train"] * 20 + ["test"] * 4
    splits, notes = make_splits(names, labels, patients, Shares(), "here", class_names=NAMES)
    assert splits["test"].tolist() == [20, 21, 22, 23]
    for split in ("train", "val"):
        assert set(labels[splits[split]].tolist()) == {0, 1}
        assert len(set(patients[splits[split]].tolist())) == 2
    assert notes[0] == "val: 10 images drawn by class and patient, as the source names none"
    assert len(notes) == 2
    assert "val: 50.0% of the images, though 15.0% were asked for" in notes[1]


def test_a_calibration_split_that_the_source_names_is_kept_and_nothing_is_drawn_from_it() -> None:
    labels = np.array([0, 1] * 30)
    names = ["train"] * 40 + ["calibration"] * 20
    splits, _ = make_splits(names, labels, None, Shares(), "here", class_names=NAMES)
    assert splits["calibration"].tolist() == list(range(40, 60))
    assert sorted(np.concatenate([splits[split] for split in ("train", "val", "test")])) == list(range(40))
    every = ["train"] * 20 + ["val"] * 20 + ["test"] * 10 + ["calibration"] * 10
    splits, notes = make_splits(every, labels, None, Shares(), "here", class_names=NAMES)
    assert {split: len(positions) for split, positions in splits.items()} == {
        "train": 20, "val": 20, "test": 10, "calibration": 10
    }  # fmt: skip
    assert not notes
    assert "calibration" not in make_splits(["train"] * 60, labels, None, Shares(), "here", class_names=NAMES)[0]
